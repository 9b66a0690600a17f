package upstream_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/login"
	"github.com/wxsidecar/wxsidecar/sidecar/upstream"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const code = "canarycode-0123456789"

// aLogin has no Secret: an account with an upstream has none.
func aLogin(api wechat.API) login.Request {
	return login.Request{API: api, AppID: "wx1", Code: code}
}

// loginFails returns why a login fails, which shows no secret.
func loginFails(t *testing.T, c *upstream.Client) *login.Error {
	t.Helper()
	answer, err := c.Exchange(t.Context(), aLogin(wechat.CodeToSession))
	var failed *login.Error
	require.ErrorAs(t, err, &failed)
	assert.Empty(t, answer)
	assert.NotContains(t, fmt.Sprintf("%+v", failed), "canary")
	return failed
}

// A code is passed on, and the answer comes back as it is. Each exchange has a connection of
// its own.
func TestExchange_PassesOn(t *testing.T) {
	s := newServer(t)
	c := newClient(t, nil, s.URL)
	var reused atomic.Int64
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if info.Reused {
			reused.Add(1)
		}
	}})
	const answer = `{"openid":"canaryopenid","session_key":"canarysession==","expires_in":"7200","errcode":"0","life":{},"more":[1]}`
	s.answer(200, answer)
	for i, want := range []struct {
		api         wechat.API
		path, field string
	}{{wechat.CodeToSession, "/v1/wx1/login", "js_code"}, {wechat.OAuth, "/v1/wx1/oauth", "code"}} {
		got, err := c.Exchange(ctx, aLogin(want.api))
		require.NoError(t, err)
		assertSame(t, answer, got)
		r := s.requests[i]
		assert.Equal(t, "POST "+want.path, r.Method+" "+r.URL.Path)
		assert.Equal(t, "1", r.Header.Get(upstream.Header))
		assertSame(t, "Bearer "+bearer, r.Header.Get("Authorization"))
		var body map[string]string
		require.NoError(t, json.Unmarshal([]byte(s.bodies[i]), &body))
		require.Len(t, body, 1)
		assertSame(t, code, body[want.field])
	}
	assert.Zero(t, reused.Load())
}

// What WeChat says is passed on. What the upstream says of this sidecar is no answer to an app:
// a 401 to this sidecar is not about the app's bearer token.
func TestExchange_Refusals(t *testing.T) {
	s := newServer(t)
	c := newClient(t, nil, s.URL)
	for name, r := range map[string]struct {
		status   int
		body     string
		wait     string // Retry-After
		becomes  int
		code     int
		retries  time.Duration
		hint     string
		verbatim bool // the errmsg
		spent    bool
	}{
		"WeChat refuses":   {502, `{"errcode":40163,"errmsg":"code been used rid: 1","hint":"get another one"}`, "", 502, 40163, 0, "get another one", true, false},
		"no answer":        {502, `{"errcode":-1,"errmsg":"lost","hint":"it may be used up"}`, "", 502, -1, 0, "it may be used up", true, true},
		"not sent":         {503, `{"errcode":-1,"errmsg":"too many","hint":"send it again"}`, "1", 503, -1, time.Second, "send it again", true, false},
		"no bearer":        {401, `{"errcode":401,"errmsg":"x"}`, "", 502, -1, 0, hint.UpstreamBearer.English, false, false},
		"a reader":         {403, `{"errcode":403,"errmsg":"x"}`, "", 502, -1, 0, hint.UpstreamBearer.English, false, false},
		"logins are off":   {404, `{"errcode":404,"errmsg":"x","hint":"set SIDECAR_LOGIN=true"}`, "", 502, -1, 0, hint.UpstreamAccount.English, false, false},
		"no account":       {404, `{"errcode":40013,"errmsg":"x"}`, "", 502, 40013, 0, hint.UpstreamAccount.English, false, false},
		"it has one too":   {400, `{"errcode":400,"errmsg":"SIDECAR_UPSTREAM is set"}`, "", 502, -1, 0, hint.Upstream.English, false, false},
		"HTML":             {200, "<html>canarycode", "", 502, -1, 0, hint.UpstreamAddress.English, false, true},
		"no openid":        {200, `{"session_key":"canarysession"}`, "", 502, -1, 0, hint.UpstreamAddress.English, false, true},
		"a redirect":       {302, "", "", 502, -1, 0, hint.UpstreamAddress.English, false, true},
		"an ingress":       {503, "<html>", "", 502, -1, 0, hint.UpstreamUnreached.English, false, true},
		"a fault of its":   {500, `{"errcode":500,"errmsg":"internal error"}`, "", 502, -1, 0, hint.Upstream.English, false, true},
		"it quotes a code": {502, `{"errcode":40029,"errmsg":"invalid ` + code + ` ` + bearer + `","hint":"not ` + code + `"}`, "", 502, 40029, 0, "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s.answer(r.status, r.body, "Retry-After", r.wait)
			before := len(s.requests)
			failed := loginFails(t, c)
			assert.Len(t, s.requests, before+1, "sent once")
			assert.Equal(t, r.becomes, failed.Status)
			assert.Equal(t, r.code, failed.Code)
			assert.Equal(t, r.retries, failed.RetryAfter)
			assert.Contains(t, failed.Hint, r.hint)
			assert.Equal(t, r.spent, failed.Spent)
			if r.verbatim {
				assert.NotContains(t, failed.Message, "127.0.0.1")
			}
		})
	}
}

// A server that reads the code and closes the connection gets it once, and no other URL gets it.
func TestExchange_ReadAndClosed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var count atomic.Int64
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil && r.Method == http.MethodPost {
				count.Add(1)
			}
			_ = conn.Close()
		}
	}()
	other := newServer(t)
	failed := loginFails(t, newClient(t, nil, "http://"+listener.Addr().String(), other.URL))
	assert.Equal(t, http.StatusBadGateway, failed.Status)
	assert.Zero(t, failed.RetryAfter)
	assert.Contains(t, failed.Hint, "may be used up")
	assert.True(t, failed.Spent)
	require.NoError(t, listener.Close())
	<-served
	assert.EqualValues(t, 1, count.Load())
	assert.Empty(t, other.requests)
}

// Another URL is tried if nothing was sent, and a second bearer token after a 401.
func TestExchange_NextIfNothingWasSent(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	s := newServer(t)
	s.answer(200, `{"openid":"canaryopenid"}`)
	s.accepted = "canarysecret-bearer-2"
	two := func(cfg *upstream.Config) { cfg.Bearers = func() []string { return []string{bearer, s.accepted} } }
	_, err := newClient(t, two, closed.URL, s.URL).Exchange(t.Context(), aLogin(wechat.OAuth))
	require.NoError(t, err)
	assert.Len(t, s.requests, 2)

	failed := loginFails(t, newClient(t, nil, closed.URL))
	assert.Equal(t, http.StatusServiceUnavailable, failed.Status)
	assert.Equal(t, time.Second, failed.RetryAfter)
	assert.Contains(t, failed.Hint, "can be sent again")
	assert.False(t, failed.Spent)
	assert.Contains(t, failed.Message, strings.TrimPrefix(closed.URL, "http://"))
}
