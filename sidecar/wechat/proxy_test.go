package wechat_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// proxy tunnels every CONNECT to one address, unless status refuses it.
type proxy struct {
	*httptest.Server
	target string
	status int
	asked  atomic.Value // the host of the last CONNECT
}

func newProxy(t *testing.T, target string, status int) *proxy {
	t.Helper()
	p := &proxy{target: strings.TrimPrefix(target, "https://"), status: status}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked.Store(r.Method + " " + r.Host)
	if p.status != http.StatusOK {
		http.Error(w, "refused", p.status)
		return
	}
	far, err := new(net.Dialer).DialContext(r.Context(), "tcp", p.target)
	if err != nil {
		http.Error(w, "unreachable", http.StatusBadGateway)
		return
	}
	defer func() { _ = far.Close() }()
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = near.Close() }()
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	there := make(chan struct{})
	go func() {
		defer close(there)
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-there
}

func through(t *testing.T, transport *http.Transport, p *proxy) *http.Transport {
	t.Helper()
	u := must(url.Parse(p.URL))(t)
	transport.Proxy = http.ProxyURL(u)
	return transport
}

// A request through a proxy's tunnel works.
func TestProxy_Tunnel(t *testing.T) {
	fake, target, trusting := newTLSFake(t)
	p := newProxy(t, target, http.StatusOK)
	_ = must(newClient(t, through(t, trusting, p), "https://wechat.test").Fetch(t.Context(), request(wechat.Token)))(t)
	assert.Equal(t, "CONNECT wechat.test:443", p.asked.Load())
	assert.Equal(t, 1, fake.Issues(appID))
}

// If the tunnel breaks after sending, WeChat may have issued a token.
func TestProxy_BrokenTunnelMayHaveIssued(t *testing.T) {
	fake, target, trusting := newTLSFake(t)
	fake.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Kind: wechattest.IssuedNoAnswer} })
	c := newClient(t, through(t, trusting, newProxy(t, target, http.StatusOK)), "https://wechat.test", "https://api.weixin.qq.com")
	assert.True(t, failure(t.Context(), t, c, request(wechat.Token)).MayHaveIssued)
	assert.Equal(t, 1, fake.Requests("", ""))
}

// If the proxy refuses the tunnel, nothing was sent.
func TestProxy_RefusedTunnelSentNothing(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusBadGateway} {
		fake, target, trusting := newTLSFake(t)
		c := newClient(t, through(t, trusting, newProxy(t, target, status)), "https://wechat.test")
		e := failure(t.Context(), t, c, request(wechat.Token))
		assert.False(t, e.MayHaveIssued)
		assert.Contains(t, e.Message, http.StatusText(status))
		assert.Zero(t, fake.Requests("", ""))
	}
}

// childURL is the address for a copy of the test program: net/http reads HTTPS_PROXY
// only once in a process.
const childURL = "WECHAT_TEST_CHILD_URL"

// The environment names the proxy.
func TestProxy_FromEnvironment(t *testing.T) {
	if base := os.Getenv(childURL); base != "" {
		_ = must(newClient(t, nil, base).Fetch(t.Context(), request(wechat.Token)))(t)
		return
	}
	fake := wechattest.New()
	fake.AddAccount(appID, secret)
	target, certPEM, stop, err := fake.ListenTLS()
	require.NoError(t, err)
	t.Cleanup(stop)
	certFile := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	p := newProxy(t, target, http.StatusOK)

	again(t, "HTTPS_PROXY="+p.URL, "SSL_CERT_FILE="+certFile, childURL+"=https://wechat.test")
	assert.Equal(t, "CONNECT wechat.test:443", p.asked.Load())
	assert.Equal(t, 1, fake.Issues(appID))
}

// Plain http never goes through a proxy, whatever the spelling of localhost.
func TestProxy_NeverForPlainHTTP(t *testing.T) {
	if base := os.Getenv(childURL); base != "" {
		_ = must(newClient(t, nil, base).Fetch(t.Context(), request(wechat.Token)))(t)
		return
	}
	fake, base := newFake(t)
	port := base[strings.LastIndex(base, ":"):]
	p := newProxy(t, base, http.StatusForbidden)
	for _, host := range []string{"localhost", "LOCALHOST", "LocalHost", "127.0.0.1", "[::ffff:127.0.0.1]"} {
		again(t, "HTTP_PROXY="+p.URL, "http_proxy="+p.URL, "HTTPS_PROXY="+p.URL, childURL+"=http://"+host+port)
	}
	assert.Nil(t, p.asked.Load())
	assert.Equal(t, 5, fake.Issues(appID))
}

// again runs the same test in its own process with another environment.
func again(t *testing.T, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(append(os.Environ(), "NO_PROXY=", "no_proxy="), env...)
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
