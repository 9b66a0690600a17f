package login_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/login"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	appID  = "wx0123456789abcdef"
	secret = "canarysecret-5f4dcc3b5aa765d6"
)

// newExchange returns a fake WeChat, and what exchanges codes there.
func newExchange(t *testing.T) (fake *wechattest.Server, exchange login.Exchange) {
	t.Helper()
	fake = wechattest.New()
	fake.AddAccount(appID, secret)
	url, stop, err := fake.ListenHTTP()
	require.NoError(t, err)
	t.Cleanup(stop)
	return fake, exchangeAt(t, url)
}

func exchangeAt(t *testing.T, url string) login.Exchange {
	t.Helper()
	client, err := wechat.New(wechat.Config{BaseURLs: []string{url}, Timeout: time.Second})
	require.NoError(t, err)
	return login.WeChat(client)
}

func request() login.Request {
	return login.Request{API: wechat.CodeToSession, AppID: appID, Secret: func() (string, error) { return secret, nil }, Code: "canarytoken-1"}
}

// failure returns the *Error of an exchange that must fail.
func failure(t *testing.T, exchange login.Exchange, r login.Request) *login.Error {
	t.Helper()
	answer, err := exchange(t.Context(), r)
	assert.Empty(t, answer)
	var e *login.Error
	require.ErrorAs(t, err, &e)
	assert.NotEmpty(t, e.Hint)
	assert.NotContains(t, e.Error(), "canary")
	return e
}

// The answer is WeChat's, and a second use of the code is WeChat's refusal.
func TestWeChat_Answer(t *testing.T) {
	fake, exchange := newExchange(t)
	answer, err := exchange(t.Context(), request())
	require.NoError(t, err)
	assert.Contains(t, answer, `"openid":"`+wechattest.OpenID("canarytoken-1")+`"`)
	e := failure(t, exchange, request())
	assert.Equal(t, 40163, e.Code)
	assert.Equal(t, 502, e.Status)
	assert.True(t, e.ByUser())
	assert.Zero(t, e.RetryAfter)
	assert.Contains(t, e.Message, "rid: ")
	assert.Len(t, fake.Logins(), 2)
}

// Each errcode says what to do. Those about the AppSecret are never a matter of a token.
func TestWeChat_Errcodes(t *testing.T) {
	fake, exchange := newExchange(t)
	for code, c := range map[int]struct {
		byUser bool
		says   string
	}{
		40029: {true, "get another one"}, 40163: {true, "get another one"}, 40226: {true, "risk"}, 45011: {true, "another code"},
		40001: {false, hint.Account.English}, 40125: {false, hint.Account.English}, 40013: {false, hint.Account.English},
		40164: {false, "whitelist"}, 40243: {false, hint.Frozen.English}, 41008: {false, "errcode 41008"}, -1: {false, "another code"},
	} {
		fake.OnLogin(func(wechattest.Login, int) wechattest.Answer { return wechattest.Answer{Errcode: code} })
		e := failure(t, exchange, request())
		assert.Equal(t, code, e.Code)
		assert.Equal(t, 502, e.Status, code)
		assert.Equal(t, c.byUser, e.ByUser(), code)
		assert.Contains(t, e.Hint, c.says, code)
		assert.NotContains(t, e.Hint, "is repeated", code)
		assert.Zero(t, e.RetryAfter, code)
	}
}

// Only a code that was not sent can be sent again.
func TestWeChat_Retry(t *testing.T) {
	fake, exchange := newExchange(t)
	for _, kind := range []wechattest.Kind{wechattest.Reset, wechattest.ServerError, wechattest.HTML, wechattest.Hang} {
		fake.OnLogin(func(wechattest.Login, int) wechattest.Answer { return wechattest.Answer{Kind: kind} })
		e := failure(t, exchange, request())
		assert.Equal(t, login.Error{Status: 502, Code: -1, Message: e.Message, Hint: e.Hint, Spent: true}, *e, kind)
		assert.Contains(t, e.Hint, "may be used up")
	}
	assert.Len(t, fake.Logins(), 4)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	e := failure(t, exchangeAt(t, "http://"+listener.Addr().String()), request())
	assert.Equal(t, login.Error{Status: 503, Code: -1, Message: e.Message, Hint: e.Hint, RetryAfter: time.Second}, *e)
	assert.Contains(t, e.Message, listener.Addr().String())
	assert.Contains(t, e.Hint, "can be sent again")

	unreadable := request()
	unreadable.Secret = func() (string, error) { return "", errors.New("/accounts/wx1: no such file") }
	e = failure(t, exchange, unreadable)
	assert.Equal(t, 503, e.Status)
	assert.Contains(t, e.Message, "/accounts/wx1: no such file")
	assert.Equal(t, hint.SecretFile.English, e.Hint)
	assert.Len(t, fake.Logins(), 4)
}

// A code is printable ASCII without spaces.
func TestValidCode_Form(t *testing.T) {
	for text, valid := range map[string]bool{
		"0a3Xyz000abcDEF1gh200ijKLm1nop4Q": true, "x": true, "a-b_c~d/+=": true, strings.Repeat("x", 512): true,
		"": false, strings.Repeat("x", 513): false, "a b": false, "the code is a mock one": false, "a\n": false, "\x00": false,
		"代码": false, "a\u200b": false, "\xff": false,
	} {
		assert.Equal(t, valid, login.ValidCode(text), "%.20q", text)
	}
}
