package sdktest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// door is WeChat as one program sees it: an https address of that program alone.
// It judges every token in the moment in which it is used.
type door struct {
	url    string // https://127.0.0.1:…
	ca     string // a file with the certificate to trust
	host   string // of url, with the port
	roots  *x509.CertPool
	wechat *wechattest.Server

	mu    sync.Mutex // guards count
	count count
}

// count is what a program did at its door.
type count struct {
	fetches int // calls for a token or a ticket, which a program should leave to the sidecar
	uses    int // requests with a token, or pages signed with a ticket
	without int // of these, with none at all: WeChat's 41001
	dead    int // of these, with one that WeChat refused
}

// newDoor opens another door to WeChat.
func newDoor(t *testing.T, wechat *wechattest.Server) *door {
	t.Helper()
	d := &door{wechat: wechat, roots: x509.NewCertPool()}
	url, certificate, stop, err := wechat.ListenTLSThrough(d)
	require.NoError(t, err)
	t.Cleanup(stop)
	d.url, d.host = url, strings.TrimPrefix(url, "https://")
	d.ca = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(d.ca, certificate, 0o600))
	require.True(t, d.roots.AppendCertsFromPEM(certificate))
	return d
}

// ServeHTTP is http.Handler's.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket":
		d.add(count{fetches: 1})
		d.wechat.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	if r.URL.Path == "/signed" {
		d.signed(answer, r.URL.Query().Get("ticket"))
	} else {
		d.wechat.ServeHTTP(answer, r)
	}
	var verdict struct{ Errcode int }
	_ = json.Unmarshal(answer.Body.Bytes(), &verdict) // it is JSON
	switch verdict.Errcode {
	case 0:
		d.add(count{uses: 1})
	case 41001:
		d.add(count{uses: 1, without: 1})
	default:
		d.add(count{uses: 1, dead: 1})
	}
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// signed is what a user's WeChat is answered, which asks whether a page is signed
// with a good ticket.
func (d *door) signed(w http.ResponseWriter, ticket string) {
	errcode := 41001 // none at all
	if ticket != "" {
		errcode = d.wechat.AcceptsTicket(ticket)
	}
	_ = json.NewEncoder(w).Encode(map[string]int{"errcode": errcode})
}

func (d *door) add(c count) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count = d.count.plus(c)
}

// so is what was counted so far.
func (d *door) so() count {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

func (c count) plus(o count) count {
	return count{fetches: c.fetches + o.fetches, uses: c.uses + o.uses, without: c.without + o.without, dead: c.dead + o.dead}
}

func (c count) minus(o count) count {
	return c.plus(count{fetches: -o.fetches, uses: -o.uses, without: -o.without, dead: -o.dead})
}

// client is for the SDKs, which have WeChat's address built in: whatever the
// host, it is this door. The certificate is api.weixin.qq.com's.
func (d *door) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", d.host)
		},
		TLSClientConfig: &tls.Config{RootCAs: d.roots, MinVersion: tls.VersionTLS12},
	}}
}
