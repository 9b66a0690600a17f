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
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	appID     = "wx0123456789abcdef"
	appSecret = "canarysecret0123456789abcdef0123"
	openID    = "oABC123"
)

// world is what a program lives in: WeChat, memcached, and a sidecar.
type world struct {
	wechat    *wechattest.Server
	memcached *memcached
	road      *door  // the sidecar's way to WeChat
	api       string // the sidecar's API, host:port
	environ   []string
	sidecar   *programtest.Process
}

// newWorld starts a world without a sidecar. environ is further variables of it.
func newWorld(t *testing.T, environ ...string) *world {
	t.Helper()
	w := &world{wechat: wechattest.New(), memcached: newMemcached(t), api: freeAddress(t)}
	w.wechat.AddAccount(appID, appSecret)
	w.road = newDoor(t, w.wechat)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(appSecret), 0o600))
	w.environ = append([]string{
		"WECHAT_APPID=" + appID, "WECHAT_APPSECRET_FILE=" + secret, "WECHAT_BASE_URL=" + w.road.url, "SSL_CERT_FILE=" + w.road.ca,
		"MEMCACHED_SERVERS=" + w.memcached.Address, "SIDECAR_LISTEN=" + w.api, "SIDECAR_OPS_LISTEN=off",
	}, environ...)
	return w
}

// start starts the sidecar, and waits until it holds the token and an entry is
// there.
func (w *world) start(t *testing.T) {
	t.Helper()
	w.sidecar = spawn(t, w.environ, binary(t))
	c := w.client(t)
	require.Eventually(t, func() bool {
		_, err := c.Refresh(t.Context(), "") // asks the sidecar, and nobody else
		return err == nil && w.memcached.entry(t, memcache.AccessToken) != ""
	}, patience, 10*time.Millisecond, "the sidecar holds the token, and an entry is there")
}

// client is the Go client in this world. Its time-outs are for a busy machine.
func (w *world) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{
		AppID: appID, Servers: []string{w.memcached.Address}, Sidecar: "http://" + w.api, Timeout: time.Second,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// binary builds the sidecar once for all tests.
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
	// A MariaDB that starts deletes the temporary tables of those who share its folder for them.
	if err := os.Setenv("TMPDIR", buildDir); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}
