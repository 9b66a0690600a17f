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

// endpoint is an https address of WeChat for one program. It counts the program's
// requests, and those with an invalid token.
type endpoint struct {
	url    string // https://127.0.0.1:…
	ca     string // a file with the certificate to trust
	host   string // of url, with the port
	roots  *x509.CertPool
	wechat *wechattest.Server

	mu    sync.Mutex // guards count
	count count
}

// count has the requests of a program.
type count struct {
	fetches int // requests for a token or a ticket, which are the sidecar's task
	uses    int // requests with a token, or pages signed with a ticket
	without int // of these, without any: WeChat's 41001
	invalid int // of these, with one that WeChat refused
}

// newEndpoint opens another endpoint of WeChat.
func newEndpoint(t *testing.T, wechat *wechattest.Server) *endpoint {
	t.Helper()
	e := &endpoint{wechat: wechat, roots: x509.NewCertPool()}
	url, certificate, stop, err := wechat.ListenTLSThrough(e)
	require.NoError(t, err)
	t.Cleanup(stop)
	e.url, e.host = url, strings.TrimPrefix(url, "https://")
	e.ca = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(e.ca, certificate, 0o600))
	require.True(t, e.roots.AppendCertsFromPEM(certificate))
	return e
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket":
		if r.UserAgent() != "wxsidecar/verify" { // no renewal
			e.add(count{fetches: 1})
		}
		e.wechat.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	if r.URL.Path == "/signed" {
		e.signed(answer, r.URL.Query().Get("ticket"))
	} else {
		e.wechat.ServeHTTP(answer, r)
	}
	var verdict struct{ Errcode int }
	_ = json.Unmarshal(answer.Body.Bytes(), &verdict) // it is JSON
	switch verdict.Errcode {
	case 0:
		e.add(count{uses: 1})
	case 41001:
		e.add(count{uses: 1, without: 1})
	default:
		e.add(count{uses: 1, invalid: 1})
	}
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// signed reports whether the ticket of a signed page is valid, as WeChat does for a
// user's app.
func (e *endpoint) signed(w http.ResponseWriter, ticket string) {
	errcode := 41001 // no ticket
	if ticket != "" {
		errcode = e.wechat.AcceptsTicket(ticket)
	}
	_ = json.NewEncoder(w).Encode(map[string]int{"errcode": errcode})
}

func (e *endpoint) add(c count) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count = e.count.plus(c)
}

// counts returns the counts so far.
func (e *endpoint) counts() count {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count
}

func (c count) plus(o count) count {
	return count{fetches: c.fetches + o.fetches, uses: c.uses + o.uses, without: c.without + o.without, invalid: c.invalid + o.invalid}
}

func (c count) minus(o count) count {
	return c.plus(count{fetches: -o.fetches, uses: -o.uses, without: -o.without, invalid: -o.invalid})
}

// client returns an HTTP client for the SDKs, which use WeChat's own address: it sends
// every request to this endpoint. The certificate is for api.weixin.qq.com.
func (e *endpoint) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", e.host)
		},
		TLSClientConfig: &tls.Config{RootCAs: e.roots, MinVersion: tls.VersionTLS12},
	}}
}
