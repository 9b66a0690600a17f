package wechattest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// ListenTLS serves https with its own certificate.
func TestListenTLS_SelfSigned(t *testing.T) {
	fake := wechattest.New()
	fake.AddAccount(appID, secret)
	base, certPEM, stop, err := fake.ListenTLS()
	require.NoError(t, err)
	t.Cleanup(stop)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certPEM))
	// On a kept connection, net/http would repeat a GET whose connection is reset.
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	c := caller{fake: fake, base: base, http: &http.Client{Transport: transport}}
	c.assertErrcode(t, 0, c.classic(t), "over TLS")

	fake.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Kind: wechattest.IssuedNoAnswer} })
	_, err = c.do(t.Context(), http.MethodGet, classicPath(appID, secret), "")
	require.ErrorIs(t, err, syscall.ECONNRESET, "a reset, even through TLS")
	assert.Equal(t, 2, fake.Issues(appID))
}

// The handler sees the requests of its own listener only.
func TestListenTLSThrough_SeesItsRequests(t *testing.T) {
	fake := wechattest.New()
	fake.AddAccount(appID, secret)
	var asked []string
	base, certPEM, stop, err := fake.ListenTLSThrough(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		fake.ServeHTTP(w, r)
	}))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certPEM))
	c := caller{fake: fake, base: base, http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}}
	token := c.classic(t)
	resp, err := c.http.Get(base + "/cgi-bin/user/info?openid=o1&access_token=" + token)
	require.NoError(t, err)
	var user struct{ OpenID string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&user))
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "o1", user.OpenID)
	stop()
	assert.Equal(t, []string{"/cgi-bin/token", "/cgi-bin/user/info"}, asked)
}

// stop ends requests that hang.
func TestStop_EndsHangingRequests(t *testing.T) {
	fake := wechattest.New()
	fake.AddAccount(appID, secret)
	base, stop, err := fake.ListenHTTP()
	require.NoError(t, err)
	arrived := make(chan struct{}, 2)
	fake.OnRequest(func(request wechattest.Request) wechattest.Answer {
		arrived <- struct{}{}
		if request.N == 1 {
			return wechattest.Answer{Kind: wechattest.IssuedHang}
		}
		return wechattest.Answer{Delay: time.Hour, Late: true}
	})
	c := caller{fake: fake, base: base, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			_, err := c.do(t.Context(), http.MethodGet, classicPath(appID, secret), "")
			assert.Error(t, err)
		})
	}
	<-arrived
	<-arrived
	stop()
	stop() // a second time does nothing
	calls.Wait()
	assert.Equal(t, 1, fake.Issues(appID))
}

// The server is safe for concurrent use.
func TestServer_ConcurrentUse(t *testing.T) {
	fake := wechattest.New()
	fake.AddAccount(appID, secret)
	base, stop, err := fake.ListenHTTP()
	require.NoError(t, err)
	t.Cleanup(stop)
	c := caller{fake: fake, base: base, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				r, err := c.do(t.Context(), http.MethodGet, classicPath(appID, secret), "")
				assert.True(t, err == nil && r.Errcode == 0)
				fake.Accepts(r.Token)
				fake.FetchExternally(appID)
				fake.SetGrace(time.Minute)
			}
		})
	}
	all.Wait()
	assert.Equal(t, 80, fake.Issues(appID))
	assert.Len(t, fake.Issued(), 160)
}
