package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	appID      = "wx0123456789abcdef"
	testSecret = "canarysecret0123456789abcdef0123"
	patience   = 10 * time.Second
	often      = 10 * time.Millisecond
)

// tell runs the program to its end.
func tell(t *testing.T, environ []string, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errs programtest.Output
	exit = run(t.Context(), args, environ, &out, &errs)
	return exit, out.String(), errs.String()
}

// world is a fake WeChat and a memcached over TCP, and the variables that lead
// to them.
type world struct {
	wechat    *wechattest.Server
	memcached *memcachetest.Server
	url       string // the fake WeChat's
	server    string
	socket    string
	ops       string
	environ   []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{wechat: wechattest.New(), memcached: memcachetest.New()}
	w.wechat.AddAccount(appID, testSecret)
	url, stop, err := w.wechat.ListenHTTP()
	require.NoError(t, err)
	w.url = url
	t.Cleanup(stop)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w.server = listener.Addr().String()
	go func() { _ = w.memcached.Serve(listener) }()
	t.Cleanup(func() { assert.NoError(t, w.memcached.Close()) })
	w.socket = filepath.Join(shortDir(t), "api.sock")
	w.ops = freeAddress(t)
	w.environ = []string{
		"WECHAT_APPID=" + appID, "WECHAT_APPSECRET=" + testSecret, "WECHAT_BASE_URL=" + url,
		"MEMCACHED_SERVERS=" + w.server, "SIDECAR_LISTEN=unix://" + w.socket, "SIDECAR_OPS_LISTEN=" + w.ops,
	}
	return w
}

// store is memcached as the sidecar sees it.
func (w *world) store(t *testing.T) *memcache.Store {
	t.Helper()
	return storeAt(t, w.server)
}

func storeAt(t *testing.T, server string) *memcache.Store {
	t.Helper()
	store, err := memcache.New(memcache.Config{Servers: []string{server}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	return store
}

// entry is what an app reads; empty where there is none.
func entry(t *testing.T, store *memcache.Store) string {
	t.Helper()
	slot, err := store.Slot(appID, memcache.AccessToken)
	require.NoError(t, err)
	token, _ := slot.Get() // a failure is no token
	return token
}

// last is the token that WeChat issued last.
func (w *world) last() string {
	issued := w.wechat.Issued()
	if len(issued) == 0 {
		return ""
	}
	return issued[len(issued)-1].Token
}

// running is the program within the test's process.
type running struct {
	stop   context.CancelFunc // is SIGTERM
	exit   chan int
	stdout programtest.Output
	stderr programtest.Output
}

func start(t *testing.T, environ []string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{stop: cancel, exit: make(chan int, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.exit <- run(ctx, nil, environ, &r.stdout, &r.stderr)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		programtest.AssertNoCanary(t, r.stderr.String())
	})
	return r
}

// ends waits for the end after a stop, and returns the exit code.
func (r *running) ends(t *testing.T) int {
	t.Helper()
	select {
	case exit := <-r.exit:
		return exit
	case <-time.After(stopsWithin):
		require.Fail(t, "the program did not end in time")
		return -1
	}
}

// assertSame compares two secrets without printing them.
func assertSame(t *testing.T, want, got, claim string) {
	t.Helper()
	assert.Equal(t, memcache.Fingerprint(want), memcache.Fingerprint(got), claim)
}

func eventually(t *testing.T, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, patience, often, what)
}

// shortDir is a folder with a name that leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wx") //nolint:usetesting // t.TempDir's names are too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// freeAddress is a TCP address that no program listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := programtest.FreeAddress()
	require.NoError(t, err)
	return address
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// binary builds the program once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	path, err := built()
	require.NoError(t, err)
	return path
}

var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "sidecar")
	var log bytes.Buffer
	build := exec.Command("go", "build", "-o", path, ".")
	build.Stdout, build.Stderr = &log, &log
	err := build.Run()
	_, _ = io.Copy(os.Stderr, &log)
	return path, err
})

var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "wxsidecar"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}
