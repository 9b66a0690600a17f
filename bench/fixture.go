package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// The account of all measurements, at a fake WeChat.
const (
	appID     = "wx0123456789abcdef"
	appSecret = "canarysecret0123456789abcdef0123"
)

// fixture is what all sections share: a folder with the programs, a memcached for
// each transport, a fake WeChat.
type fixture struct {
	quick     bool
	notes     io.Writer
	dir       string
	memcached map[string]*program.Memcached // by transport

	wechat     *wechattest.Server
	wechatURL  string
	stopWeChat func()
	roots      string // a file: the system's certificates and the fake WeChat's

	serial int // of the last name
}

// Transports, as the tables name them.
const (
	tcp        = "TCP"
	unixSocket = "unix socket"
)

// newFixture starts it all, and first builds the programs if they are needed.
func newFixture(ctx context.Context, quick, builds bool, notes io.Writer) (*fixture, error) {
	dir, err := os.MkdirTemp("", "wxb") // short, because it holds unix sockets
	if err != nil {
		return nil, err
	}
	f := &fixture{quick: quick, notes: notes, dir: dir, memcached: map[string]*program.Memcached{}}
	if builds {
		const bench = "github.com/wxsidecar/wxsidecar/bench/"
		err = program.Build(ctx, dir, bench+"floor", bench+"fetch", bench+"poll")
	}
	if err == nil {
		err = f.start(ctx)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *fixture) start(ctx context.Context) error {
	address, err := programtest.FreeAddress()
	if err != nil {
		return err
	}
	for transport, address := range map[string]string{tcp: address, unixSocket: filepath.Join(f.dir, "memcached")} {
		if f.memcached[transport], err = program.StartMemcached(ctx, address); err != nil {
			return err
		}
	}
	f.wechat = wechattest.New()
	f.wechat.AddAccount(appID, appSecret)
	f.wechat.SetDailyQuota(1_000_000)
	var certificate []byte
	if f.wechatURL, certificate, f.stopWeChat, err = f.wechat.ListenTLS(); err != nil {
		return err
	}
	// The first request to WeChat includes parsing the system's certificates.
	f.roots, err = f.write("roots.pem", string(append(systemRoots(), certificate...)))
	return err
}

func (f *fixture) close() {
	for _, m := range f.memcached {
		if m != nil {
			m.Kill()
		}
	}
	if f.stopWeChat != nil {
		f.stopWeChat()
	}
	_ = os.RemoveAll(f.dir) // a temporary folder
}

// note prints what the table leaves out.
func (f *fixture) note(format string, args ...any) {
	_, _ = fmt.Fprintf(f.notes, "  "+format+"\n", args...)
}

// pick returns a number of the full run or of the quick one.
func (f *fixture) pick(full, quick int) int {
	if f.quick {
		return quick
	}
	return full
}

// name returns a name that was not used before.
func (f *fixture) name(prefix string) string {
	f.serial++
	return prefix + strconv.Itoa(f.serial)
}

func (f *fixture) program(name string) string { return filepath.Join(f.dir, name) }

func (f *fixture) write(name, text string) (string, error) {
	path := filepath.Join(f.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// environ returns the variables of a sidecar with memcached keys of its own.
func (f *fixture) environ(more ...string) []string {
	return append([]string{
		"WECHAT_BASE_URL=" + f.wechatURL, "SSL_CERT_FILE=" + f.roots,
		"MEMCACHED_SERVERS=" + f.memcached[tcp].Address, "MEMCACHED_KEY_PREFIX=" + f.name("r") + ":",
		"SIDECAR_OPS_LISTEN=off", "LOG_LEVEL=warn",
	}, more...)
}

// systemRoots returns the system's certificates; none if this system keeps them
// elsewhere.
func systemRoots() []byte {
	for _, path := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"} {
		if text, err := os.ReadFile(path); err == nil { //nolint:gosec // one of three
			return text
		}
	}
	return nil
}
