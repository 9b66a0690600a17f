package systemtest

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// newLogins starts a sidecar with logins, at debug, and returns an app's client.
func newLogins(t *testing.T, w *programtest.Backends, more ...string) (*process, *client.Client) {
	t.Helper()
	p := spawn(t, append(append(w.Environ, "SIDECAR_LOGIN=true", "SIDECAR_COMPAT=true", "LOG_LEVEL=debug"), more...))
	eventually(t, func() bool {
		conn, err := net.Dial("unix", w.Socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, "the sidecar listens")
	c, err := client.New(client.Config{AppID: appID, Servers: []string{w.MemcachedAddress}, Sidecar: "unix://" + w.Socket})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return p, c
}

// refusal returns the sidecar's refusal of a login.
func refusal(t *testing.T, c *client.Client, code string) *client.Error {
	t.Helper()
	_, err := c.Login(t.Context(), code)
	var refused *client.Error
	require.ErrorAs(t, err, &refused)
	programtest.AssertNoCanary(t, err.Error())
	return refused
}

// A code reaches WeChat once for each login: whether it is good, used, slow, refused or lost.
// Nothing of a login is in a log, a metric or on a page, and no errcode renews a token.
func TestLogin_CodesAreSentOnce(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	p, c := newLogins(t, w, "WECHAT_TIMEOUT=2s")
	ready(t, w.Ops)
	sent := 0
	count := func(what string) {
		t.Helper()
		sent++
		all := len(w.WeChat.Logins())
		assert.Equal(t, sent, all, what)
	}

	session, err := c.Login(t.Context(), "canarytoken-1")
	require.NoError(t, err)
	assertSame(t, wechattest.OpenID("canarytoken-1"), session.OpenID, "the user's openid")
	assertSame(t, wechattest.SessionKey, session.SessionKey, "the user's session key")
	count("a login")
	user, err := c.OAuth(t.Context(), "canarytoken-1")
	require.NoError(t, err)
	assertSame(t, wechattest.UserToken, user.AccessToken, "the user's token")
	count("a user of a web page")
	assert.Equal(t, 40163, refusal(t, c, "canarytoken-1").Code)
	count("asked twice")
	assert.Equal(t, 40029, refusal(t, c, "canarytoken-invalid").Code)
	count("invalid")

	answer := func(a wechattest.Answer) {
		w.WeChat.OnLogin(func(wechattest.Login, int) wechattest.Answer { return a })
	}
	answer(wechattest.Answer{Delay: time.Second})
	_, err = c.Login(t.Context(), "canarytoken-2")
	require.NoError(t, err)
	count("slow")
	answer(wechattest.Answer{Kind: wechattest.Hang})
	assert.Equal(t, -1, refusal(t, c, "canarytoken-3").Code)
	count("no answer")
	answer(wechattest.Answer{Kind: wechattest.Reset})
	lost := refusal(t, c, "canarytoken-4")
	assert.Equal(t, -1, lost.Code)
	assert.Zero(t, lost.RetryAfter, "the code may be used up")
	count("reset")
	for _, code := range []int{40001, 45011, 40226} {
		answer(wechattest.Answer{Errcode: code, Errmsg: "refused canarytoken-5 of " + wechattest.OpenID("canarytoken-5")})
		assert.Equal(t, code, refusal(t, c, "canarytoken-5").Code)
		count("refused")
	}

	assert.Equal(t, 1, w.WeChat.Requests("", ""), "40001 is about the AppSecret, and no report")
	for _, page := range []string{"/metrics", "/status.json", "/", "/readyz"} {
		text := get(t, "http://"+w.Ops+page) // asserts that it has no canary
		assert.NotContains(t, text, "jscode2session")
	}
	assert.Contains(t, p.Stderr.String(), `"login failed"`)
	assert.Equal(t, exitFine, p.terminates(t))
	for _, secret := range []string{"sns/", "js_code", "session_key", "openid", "canarytoken"} {
		assert.NotContains(t, programtest.Redact(p.Stderr.String()), secret)
	}
	programtest.AssertNoCanary(t, p.Stderr.String())
	for _, key := range w.Memcached.Keys() {
		assert.True(t, strings.HasPrefix(key, appID), "nothing of a login is stored")
	}
}

// If WeChat is down, the code was not sent and can be sent again.
func TestLogin_WeChatDown(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	_, c := newLogins(t, w, "WECHAT_BASE_URL=http://"+programtest.Address(t))
	refused := refusal(t, c, "canarytoken-1")
	assert.Equal(t, -1, refused.Code)
	assert.Equal(t, time.Second, refused.RetryAfter)
	assert.Contains(t, refused.Message, "can be sent again")
	assert.Empty(t, w.WeChat.Logins())
}
