package wechat_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// newTLSFake returns a fake on https and a transport that trusts it.
func newTLSFake(t *testing.T) (fake *wechattest.Server, url string, trusting *http.Transport) {
	t.Helper()
	fake = wechattest.New()
	fake.AddAccount(appID, secret)
	url, certPEM, stop, err := fake.ListenTLS()
	require.NoError(t, err)
	t.Cleanup(stop)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certPEM))
	return fake, url, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
}

// silentHost accepts connections and sends nothing.
func silentHost(t *testing.T) (addr string) {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// closedPort returns an address that refuses connections.
func closedPort(t *testing.T) (addr string) {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// The next host is tried if nothing was sent to the previous one.
func TestHosts_NextIfNothingWasSent(t *testing.T) {
	_, untrusted, _ := newTLSFake(t)
	_, plain := newFake(t)
	for name, first := range map[string]string{
		"dialling is refused":            "https://" + closedPort(t),
		"the certificate is not trusted": untrusted,
		"TLS is not spoken":              "https://" + strings.TrimPrefix(plain, "http://"),
		"the TLS handshake hangs":        "https://" + silentHost(t),
	} {
		t.Run(name, func(t *testing.T) {
			fake, second, trusting := newTLSFake(t)
			c, err := wechat.New(wechat.Config{
				BaseURLs: []string{first, second}, Timeout: 500 * time.Millisecond, Transport: trusting,
			})
			require.NoError(t, err)
			_ = must(c.Fetch(t.Context(), request(wechat.Token)))(t)
			assert.Equal(t, 1, fake.Issues(appID))

			only, err := wechat.New(wechat.Config{
				BaseURLs: []string{first}, Timeout: 500 * time.Millisecond, Transport: trusting,
			})
			require.NoError(t, err)
			e := failure(t.Context(), t, only, request(wechat.Token))
			assert.False(t, e.MayHaveIssued, "nothing was sent")
			assert.Equal(t, wechat.Transient, e.Class)
			assert.Contains(t, e.Message, strings.TrimPrefix(first, "https://"), "the error names the host")
		})
	}
}

// If a certificate is not accepted, the hint names the clock and the CAs.
func TestHosts_CertificateHint(t *testing.T) {
	_, url, trusting := newTLSFake(t)
	expired := trusting.Clone()
	expired.TLSClientConfig.Time = func() time.Time { return time.Now().AddDate(10, 0, 0) } // this machine's clock
	otherName := trusting.Clone()
	otherName.TLSClientConfig.ServerName = "another.name"
	for name, transport := range map[string]*http.Transport{
		"unknown authority": {TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}, "a wrong clock": expired, "another name": otherName,
	} {
		host := strings.TrimPrefix(url, "https://")
		c := must(wechat.New(wechat.Config{BaseURLs: []string{url}, Transport: transport}))(t)
		e := failure(t.Context(), t, c, request(wechat.Token))
		assert.True(t, e.Unsent, name)
		assert.Equal(t, hint.Certificate(host), e.Hint, name)
		refused := closedPort(t)
		c = must(wechat.New(wechat.Config{BaseURLs: []string{"https://" + refused, url}, Transport: transport}))(t)
		assert.Equal(t, hint.Certificate(refused+", "+host), failure(t.Context(), t, c, request(wechat.Token)).Hint, name)
	}
	for _, word := range []string{"clock", "CA"} {
		assert.Contains(t, hint.Certificate("a").English, word)
	}
}

// No other host is tried once something was sent.
func TestHosts_NotOnceSomethingWasSent(t *testing.T) {
	for name, kind := range map[string]wechattest.Kind{
		"reset": wechattest.Reset, "issued, reset": wechattest.IssuedNoAnswer,
		"502": wechattest.ServerError, "redirect": wechattest.Redirect, "a web page": wechattest.HTML,
	} {
		t.Run(name, func(t *testing.T) {
			first, firstURL := newFake(t)
			second, secondURL := newFake(t)
			first.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Kind: kind} })
			e := failure(t.Context(), t, newClient(t, nil, firstURL, secondURL), request(wechat.Token))
			assert.True(t, e.MayHaveIssued)
			assert.Equal(t, 1, first.Requests("", ""))
			assert.Zero(t, second.Requests("", ""))
		})
	}
}

// No other host is tried after a refusal.
func TestHosts_NotAfterARefusal(t *testing.T) {
	first, firstURL := newFake(t)
	second, secondURL := newFake(t)
	first.FailAll(40164)
	assert.Equal(t, 40164, failure(t.Context(), t, newClient(t, nil, firstURL, secondURL), request(wechat.Token)).Code)
	assert.Zero(t, second.Requests("", ""))
}

// The error names every host that could not be reached.
func TestHosts_UnreachableNamesEach(t *testing.T) {
	a, b := closedPort(t), closedPort(t)
	e := failure(t.Context(), t, newClient(t, nil, "https://"+a, "https://"+b), request(wechat.Token))
	assert.False(t, e.MayHaveIssued)
	assert.Contains(t, e.Message, a+": ")
	assert.Contains(t, e.Message, b+": ")
}

// The timeout bounds one host, and the context bounds all.
func TestHosts_TimeoutAndContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dialled atomic.Int32
		// A transport continues to dial after its request has ended, until the dialer's
		// own timeout.
		blackHole := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			dialled.Add(1)
			time.Sleep(time.Minute)
			return nil, context.DeadlineExceeded
		}}
		c, err := wechat.New(wechat.Config{
			BaseURLs:  []string{"https://a.test", "https://b.test", "https://c.test"},
			Transport: blackHole,
		})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		start := time.Now()
		e := failure(ctx, t, c, request(wechat.Token))
		assert.Equal(t, 8*time.Second, time.Since(start), "5 s for the first, 3 s for the second")
		require.ErrorIs(t, e, context.DeadlineExceeded)
		assert.False(t, e.MayHaveIssued)
		assert.EqualValues(t, 2, dialled.Load())
		time.Sleep(time.Minute) // until both dials have ended
	})
}

// Redirects are not followed.
func TestHosts_RedirectNotFollowed(t *testing.T) {
	fake, target := newFake(t)
	elsewhere := 0
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/cgi-bin/redirected" {
			elsewhere++
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	fake.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Kind: wechattest.Redirect} })
	e := failure(t.Context(), t, newClient(t, transport, target), request(wechat.StableToken))
	assert.True(t, e.MayHaveIssued)
	assert.Zero(t, elsewhere)
}
