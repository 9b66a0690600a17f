package programtest

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// AppID and AppSecret are the account of [Backends].
const (
	AppID     = "wx0123456789abcdef"
	AppSecret = "canarysecret0123456789abcdef0123"
)

// Backends are a fake WeChat and a memcached, both over TCP, and what a sidecar
// needs to use them.
type Backends struct {
	WeChat    *wechattest.Server
	Memcached *memcachetest.Server

	WeChatURL        string
	MemcachedAddress string
	Socket           string   // of the sidecar's API
	Ops              string   // the sidecar's ops listener
	Environ          []string // the sidecar's variables
}

// NewBackends starts the servers, which end with the test.
func NewBackends(t *testing.T) *Backends {
	t.Helper()
	b := &Backends{WeChat: wechattest.New(), Memcached: memcachetest.New(), Ops: Address(t)}
	b.WeChat.AddAccount(AppID, AppSecret)
	var stop func()
	var err error
	if b.WeChatURL, stop, err = b.WeChat.ListenHTTP(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		t.Fatal(err)
	}
	b.MemcachedAddress = listener.Addr().String()
	go func() { _ = b.Memcached.Serve(listener) }() // Close waits for it
	t.Cleanup(func() {
		if err := b.Memcached.Close(); err != nil {
			t.Error(err)
		}
	})
	b.Socket = filepath.Join(ShortDir(t), "api.sock")
	b.Environ = []string{
		"WECHAT_APPID=" + AppID, "WECHAT_APPSECRET=" + AppSecret, "WECHAT_BASE_URL=" + b.WeChatURL,
		"MEMCACHED_SERVERS=" + b.MemcachedAddress, "SIDECAR_LISTEN=unix://" + b.Socket, "SIDECAR_OPS_LISTEN=" + b.Ops,
	}
	return b
}

// LastToken returns the token that WeChat issued last, or "" before the first one.
func (b *Backends) LastToken() string {
	issued := b.WeChat.Issued()
	if len(issued) == 0 {
		return ""
	}
	return issued[len(issued)-1].Token
}

// Entry returns the token that an app reads from a memcached, or "".
func Entry(t *testing.T, store *memcache.Store) string {
	t.Helper()
	slot, err := store.Slot(AppID, memcache.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := slot.Get() // "" if it fails
	return token
}

// NewStore connects to a memcached as a sidecar does.
func NewStore(t *testing.T, server string) *memcache.Store {
	t.Helper()
	store, err := memcache.New(memcache.Config{Servers: []string{server}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // closes idle connections
	return store
}

// ShortDir returns a temporary folder whose name is short enough for a socket's path.
func ShortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wx") //nolint:usetesting // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Address returns a [FreeAddress], or fails the test.
func Address(t *testing.T) string {
	t.Helper()
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// WriteFile writes a file with mode 0600, makes its folder, and returns its path.
func WriteFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as a Secret is mounted
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Store connects to the memcached as a sidecar does.
func (b *Backends) Store(t *testing.T) *memcache.Store {
	t.Helper()
	return NewStore(t, b.MemcachedAddress)
}
