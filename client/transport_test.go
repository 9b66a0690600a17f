package client_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// A token that an external fetch invalidated costs one report and one repetition.
func TestHTTPClient_InvalidToken(t *testing.T) {
	weixin := wechattest.New()
	weixin.AddAccount("wx1", "canarysecret")
	weixin.SetGrace(0)
	address, stop, err := weixin.ListenHTTP()
	require.NoError(t, err)
	t.Cleanup(stop)

	f := setup(t, func(cfg *client.Config) { cfg.WeChatHosts = []string{"127.0.0.1"} })
	invalid := weixin.FetchExternally("wx1")
	f.sidecar.current["wx1/access_token"] = invalid
	f.memcached.Put("wx1", invalid, 0, 3600)
	f.sidecar.renew = func() string { return weixin.FetchExternally("wx1") }
	weixin.FetchExternally("wx1") // an external fetch

	hc := f.HTTPClient(nil)
	resp, err := hc.Post(address+"/cgi-bin/message/send", "application/json", strings.NewReader(`{"touser":"o1"}`))
	assert.Contains(t, read(t, resp, err), `"errcode":0`)
	reports := f.sidecar.reports()
	require.Len(t, reports, 1)
	assert.Equal(t, invalid, reports[0])
	assert.Equal(t, 1, f.sidecar.asked())
}

// Only the errcodes for a refused token lead to a report.
func TestHTTPClient_Errcodes(t *testing.T) {
	for code, want := range map[string]int{"40001": 1, "40014": 1, "42001": 1, "48001": 0, "40013": 0, "-1": 0, "null": 0} {
		f := setup(t)
		hc, n := f.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": wechat(t2, code)})
		resp, err := hc.Get(api + "/cgi-bin/user/get?next_openid=o1")
		body := read(t, resp, err)
		assert.Len(t, f.sidecar.reports(), want, code)
		require.Len(t, n.log(), 1+want, code)
		if want == 1 {
			assert.JSONEq(t, `{"errcode":0,"errmsg":"ok"}`, body)
			assert.Equal(t, "o1", n.log()[1].query.Get("next_openid"))
		} else {
			assert.Equal(t, `{"errcode":`+code+`,"errmsg":"invalid credential rid: 65f"}`, body)
		}
	}
}

// A request is repeated once, and the second answer is final.
func TestHTTPClient_RepeatedOnce(t *testing.T) {
	f := setup(t)
	hc, n := f.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": wechat("none", "40001")})
	resp, err := hc.Get(api + "/cgi-bin/user/get")
	assert.Contains(t, read(t, resp, err), "40001")
	assert.Len(t, n.log(), 2)
	assert.Len(t, f.sidecar.reports(), 1)
}

// If there is no other token, the caller gets WeChat's first answer.
func TestHTTPClient_NoOtherToken(t *testing.T) {
	for name, fail := range map[string]func(*fakeSidecar){
		"down":      func(s *fakeSidecar) { s.down = errDown },
		"too soon":  func(s *fakeSidecar) { s.answering(429, "Retry-After", "31", `{"errcode":429,"errmsg":"too soon"}`) },
		"no change": func(s *fakeSidecar) { s.answering(200, "", "", `{"access_token":"`+t1+`","expires_in":300}`) },
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			fail(f.sidecar)
			hc, n := f.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": wechat(t2, "42001")})
			resp, err := hc.Get(api + "/cgi-bin/user/get")
			assert.JSONEq(t, `{"errcode":42001,"errmsg":"invalid credential rid: 65f"}`, read(t, resp, err))
			assert.Len(t, n.log(), 1)
		})
	}
}

// Many refused requests lead to one renewal.
func TestHTTPClient_OneRenewal(t *testing.T) {
	f := setup(t)
	f.sidecar.before = func(*http.Request) { f.memcached.Put("wx1", t2, 0, 3600) }
	hc, _ := f.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": wechat(t2, "40001")})
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			resp, err := hc.Get(api + "/cgi-bin/user/get")
			assert.Contains(t, read(t, resp, err), `"errcode":0`)
		})
	}
	wg.Wait()
	f.sidecar.mu.Lock()
	defer f.sidecar.mu.Unlock()
	assert.Equal(t, 2, f.sidecar.issued, "one renewal")
}

// A request without a token fails with the error of the sidecar and is not sent.
func TestHTTPClient_NoToken(t *testing.T) {
	f := setup(t)
	f.memcached.Flush()
	f.sidecar.answering(503, "", "", `{"errcode":-1,"errmsg":"nothing valid"}`)
	hc, n := f.browse(t, nil)
	body := &closer{Reader: strings.NewReader("x")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/cgi-bin/x", body)
	require.NoError(t, err)
	_, err = hc.Do(req) //nolint:bodyclose // it fails
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, -1, refusal.Code)
	assert.True(t, body.closed)
	assert.Empty(t, n.log())
}

// HTTPClient changes neither the caller's request nor its client.
func TestHTTPClient_CallerUnchanged(t *testing.T) {
	f := setup(t)
	base := &http.Client{Transport: &internet{t: t, hosts: map[string]http.HandlerFunc{"api.weixin.qq.com": wechat(t2, "40001")}}, Timeout: time.Minute}
	before := base.Transport
	hc := f.HTTPClient(base)
	assert.Equal(t, time.Minute, hc.Timeout)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api+"/cgi-bin/x?a=b", nil)
	require.NoError(t, err)
	resp, err := hc.Do(req)
	require.NotEmpty(t, read(t, resp, err))
	assert.Equal(t, api+"/cgi-bin/x?a=b", req.URL.String())
	assert.Same(t, req.URL, resp.Request.URL)
	assert.Same(t, before, base.Transport)

	plain := *http.DefaultClient
	assert.NotNil(t, f.HTTPClient(nil).Transport)
	assert.Equal(t, plain, *http.DefaultClient)
}

// quoting is a transport whose errors quote the whole address, as net/http's do.
type quoting struct{ err error }

func (q quoting) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: q.err}
}

// A transport's error loses the token and nothing else.
func TestHTTPClient_TransportError(t *testing.T) {
	f := setup(t)
	hc := f.HTTPClient(&http.Client{Transport: quoting{context.DeadlineExceeded}})
	resp, err := hc.Get(api + "/cgi-bin/x") //nolint:bodyclose // it fails
	require.Error(t, err)
	require.Nil(t, resp)
	clean(t, err)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "access_token=[redacted]")
	var outer *url.Error
	require.ErrorAs(t, err, &outer)
	assert.True(t, outer.Timeout())
}
