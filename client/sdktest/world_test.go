package sdktest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	appID     = "wx0123456789abcdef"
	appSecret = "canarysecret0123456789abcdef0123"
	openID    = "oABC123"
)

// patience bounds what a busy machine still does in time.
const patience = 30 * time.Second

// world is a fake WeChat, a real memcached and a real sidecar.
type world struct {
	wechat          *wechattest.Server
	memcached       *realmemcached.Server
	store           *memcache.Store // of memcached
	sidecarEndpoint *endpoint       // WeChat as the sidecar sees it
	api             string          // the sidecar's API, host:port
	environ         []string        // the sidecar's variables
	sidecar         *programtest.Process
}

// newWorld returns a world whose sidecar is not started yet, with further variables.
func newWorld(t *testing.T, environ ...string) *world {
	t.Helper()
	w := &world{wechat: wechattest.New(), memcached: realmemcached.Start(t, ""), api: programtest.Address(t)}
	w.store = programtest.NewStore(t, w.memcached.Address)
	w.wechat.AddAccount(appID, appSecret)
	w.sidecarEndpoint = newEndpoint(t, w.wechat)
	secret := programtest.WriteFile(t, filepath.Join(t.TempDir(), "secret"), appSecret)
	w.environ = append([]string{
		"WECHAT_APPID=" + appID, "WECHAT_APPSECRET_FILE=" + secret, "WECHAT_BASE_URL=" + w.sidecarEndpoint.url, "SSL_CERT_FILE=" + w.sidecarEndpoint.ca,
		"MEMCACHED_SERVERS=" + w.memcached.Address, "SIDECAR_LISTEN=" + w.api, "SIDECAR_OPS_LISTEN=off",
	}, environ...)
	return w
}

// start starts the sidecar, and waits until it has a token and memcached an entry.
func (w *world) start(t *testing.T) {
	t.Helper()
	w.sidecar = spawn(t, w.environ, binary(t))
	c := w.client(t)
	require.Eventually(t, func() bool {
		_, err := c.Refresh(t.Context(), "") // from the sidecar
		return err == nil && w.entry(t, memcache.AccessToken) != ""
	}, patience, 10*time.Millisecond, "the sidecar has a token, and memcached an entry")
}

// entry returns what an app reads from memcached; empty if there is none.
func (w *world) entry(t *testing.T, kind memcache.Kind) string {
	t.Helper()
	slot, err := w.store.Slot(appID, kind)
	require.NoError(t, err)
	value, _ := slot.Get() // "" if it fails
	return value
}

// spawn starts a program with these variables only. It must print no secret and no
// token.
func spawn(t *testing.T, environ []string, path string, args ...string) *programtest.Process {
	t.Helper()
	p := programtest.Start(t, environ, path, args...)
	t.Cleanup(func() {
		p.Kill()
		programtest.AssertNoCanary(t, p.Stdout.String()+p.Stderr.String())
	})
	return p
}

// client returns a Go client in this world. Its timeouts suit a busy machine.
func (w *world) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{
		AppID: appID, Servers: []string{w.memcached.Address}, Sidecar: "http://" + w.api, Memcached: client.Memcached{Timeout: time.Second},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// binary returns the sidecar's program, which is built once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	path, err := built()
	require.NoError(t, err)
	return path
}

var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "sidecar")
	build := exec.Command("go", "build", "-o", path, "./sidecar")
	build.Dir = filepath.Join("..", "..")
	var log bytes.Buffer
	build.Stdout, build.Stderr = &log, &log
	err := build.Run()
	_, _ = log.WriteTo(os.Stderr)
	return path, err
})

var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "sdktest"); err != nil {
		panic(err)
	}
	// MariaDB deletes temporary tables at its start, those of others in the folder included.
	if err := os.Setenv("TMPDIR", buildDir); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}
