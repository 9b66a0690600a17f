package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// The account of all rows.
const (
	appID = "wx0123456789abcdef"
	// Of a fake WeChat; no run prints it.
	appSecret = "canarysecret0123456789abcdef0123"
)

// rig is what all sections use: a folder, a memcached, a fake WeChat, programs.
type rig struct {
	quick    bool
	dir      string
	programs programs

	overTCP, overSocket *memcached

	wechat     *wechattest.Server
	wechatURL  string
	stopWechat func()
	roots      string // a file: the system's certificates and the fake WeChat's

	serial int // makes names that were not used before
}

// newRig starts it all, and first builds the programs where they are needed.
func newRig(ctx context.Context, quick, builds bool) (*rig, error) {
	dir, err := os.MkdirTemp("", "wxb") // short: it holds unix sockets
	if err != nil {
		return nil, err
	}
	r := &rig{quick: quick, dir: dir}
	if builds {
		r.programs, err = build(ctx, r.dir)
	}
	if err == nil {
		err = r.start(ctx)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) start(ctx context.Context) (err error) {
	if r.overTCP, err = startMemcached(ctx, "tcp", r.dir); err != nil {
		return err
	}
	if r.overSocket, err = startMemcached(ctx, "unix", r.dir); err != nil {
		return err
	}
	r.wechat = wechattest.New()
	r.wechat.AddAccount(appID, appSecret)
	r.wechat.SetDailyQuota(1_000_000)
	url, certificate, stop, err := r.wechat.ListenTLS()
	if err != nil {
		return err
	}
	r.wechatURL, r.stopWechat = url, stop
	// The system's roots too: to parse them is part of a first call to WeChat.
	trusted := append(systemRoots(), certificate...)
	r.roots, err = r.write("roots.pem", string(trusted))
	return err
}

func (r *rig) close() {
	for _, m := range []*memcached{r.overTCP, r.overSocket} {
		if m != nil {
			m.process.kill()
		}
	}
	if r.stopWechat != nil {
		r.stopWechat()
	}
	_ = os.RemoveAll(r.dir) // in the system's folder for what is temporary
}

// pick is one number for the full run and another for the quick one.
func (r *rig) pick(full, quick int) int {
	if r.quick {
		return quick
	}
	return full
}

// name is a name that was not used before.
func (r *rig) name(prefix string) string {
	r.serial++
	return prefix + strconv.Itoa(r.serial)
}

// socket is an address for a unix socket, as unix:///path.
func (r *rig) socket() string { return "unix://" + filepath.Join(r.dir, r.name("s")) }

func (r *rig) write(name, text string) (string, error) {
	path := filepath.Join(r.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// environ is a sidecar's environment, with memcached keys of its own; more comes
// after it. Nothing of this process's environment is in it.
func (r *rig) environ(more ...string) []string {
	return append([]string{
		"WECHAT_BASE_URL=" + r.wechatURL, "SSL_CERT_FILE=" + r.roots,
		"MEMCACHED_SERVERS=" + r.overTCP.address, "MEMCACHED_KEY_PREFIX=" + r.name("r") + ":",
		"SIDECAR_OPS_LISTEN=off", "LOG_LEVEL=warn",
	}, more...)
}

// oneAccount is the variables of the account of all rows.
func oneAccount() []string {
	return []string{"WECHAT_APPID=" + appID, "WECHAT_APPSECRET=" + appSecret}
}

// systemRoots is the system's certificates as Linux distributions keep them;
// none where they are elsewhere.
func systemRoots() []byte {
	for _, path := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"} {
		if text, err := os.ReadFile(path); err == nil { //nolint:gosec // one of three
			return text
		}
	}
	return nil
}
