// Package systemtest tests the whole program: it builds the sidecar, runs it as
// processes and treats it as users, attackers and Kubernetes do.
package systemtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

const (
	appID      = programtest.AppID
	testSecret = programtest.AppSecret
	patience   = 10 * time.Second
	often      = 10 * time.Millisecond
	// stopsWithin is how long the manifests give a sidecar to stop.
	stopsWithin = 5 * time.Second
)

// Exit codes of the program.
const (
	exitFine     = 0
	exitFailed   = 1
	exitBadUsage = 2
)

// root is the repository's root, from here.
const root = "../.."

// runCLI runs the program to its end.
func runCLI(t *testing.T, environ []string, args ...string) (exit int, stdout string) {
	t.Helper()
	p := spawn(t, environ, args...)
	exit = p.Ends(t, patience)
	return exit, p.Stdout.String()
}

// process is the program as a process.
type process struct{ *programtest.Process }

// spawn starts the program with these variables and no others.
func spawn(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	return spawnProgram(t, binary(t), environ, args...)
}

func spawnProgram(t *testing.T, path string, environ []string, args ...string) *process {
	t.Helper()
	p := &process{}
	t.Cleanup(func() { // after its end
		if log := p.Stderr.String(); programtest.AssertNoCanary(t, log) && t.Failed() {
			t.Logf("the program logged:\n%s", log)
		}
	})
	p.Process = programtest.Start(t, environ, path, args...)
	return p
}

// terminates sends SIGTERM and returns the exit code.
func (p *process) terminates(t *testing.T) int {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Ends(t, stopsWithin)
}

// ready waits until the sidecar with this ops listener is ready.
func ready(t *testing.T, ops string) {
	t.Helper()
	eventually(t, func() bool {
		resp, err := http.Get("http://" + ops + "/readyz")
		if err != nil {
			return false
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode == http.StatusOK
	}, "the sidecar is ready")
}

// realMemcached is the real server, and what the sidecar sees of it.
type realMemcached struct {
	*realmemcached.Server
	store *memcache.Store
}

func newRealMemcached(t *testing.T) *realMemcached {
	t.Helper()
	server := realmemcached.Start(t, "")
	return &realMemcached{server, programtest.NewStore(t, server.Address)}
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

func fileText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// binary builds the program once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	path, err := built()
	require.NoError(t, err)
	return path
}

var built = sync.OnceValues(func() (string, error) { return build("sidecar") })

// build builds the program into the test's folder. If GOCOVERDIR is set, the
// program writes its coverage there.
func build(name string, flags ...string) (string, error) {
	path := filepath.Join(buildDir, name)
	args := append([]string{"build", "-o", path}, flags...)
	if os.Getenv("GOCOVERDIR") != "" {
		args = append(args, "-cover", "-coverpkg=github.com/wxsidecar/wxsidecar/...")
	}
	command := exec.CommandContext(context.Background(), "go", append(args, "github.com/wxsidecar/wxsidecar/sidecar")...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("build the sidecar: %w\n%s", err, log.String())
	}
	return path, nil
}

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

// get returns what an ops listener answers.
func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	programtest.AssertNoCanary(t, string(body))
	return string(body)
}
