package wechat_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// exchanges are the APIs that exchange a user's code.
var exchanges = []wechat.API{wechat.CodeToSession, wechat.OAuth}

// userCode is a code of a user.
const userCode = "canarytoken-code-1"

func codeRequest(api wechat.API) wechat.Request {
	return wechat.Request{API: api, AppID: appID, Secret: secret, Code: userCode}
}

// exchangeFails returns the *Error of an Exchange that must fail.
func exchangeFails(t *testing.T, c *wechat.Client, r wechat.Request) *wechat.Error {
	t.Helper()
	answer, err := c.Exchange(t.Context(), r)
	var e *wechat.Error
	require.ErrorAs(t, err, &e)
	assert.Empty(t, answer)
	assertShowsNothing(t, e)
	assertShowsNothing(t, r)
	return e
}

// The answer is WeChat's, and each code is sent once.
func TestExchange_Answer(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	var session map[string]any
	require.NoError(t, json.Unmarshal([]byte(must(c.Exchange(t.Context(), codeRequest(wechat.CodeToSession)))(t)), &session))
	assert.Equal(t, map[string]any{
		"openid": wechattest.OpenID(userCode), "session_key": wechattest.SessionKey, "unionid": wechattest.UnionID,
	}, session)
	var user map[string]any
	require.NoError(t, json.Unmarshal([]byte(must(c.Exchange(t.Context(), codeRequest(wechat.OAuth)))(t)), &user))
	assert.Equal(t, wechattest.UserToken, user["access_token"])
	assert.Len(t, user, 7)
	assert.Equal(t, []wechattest.Login{{AppID: appID, Code: userCode}, {AppID: appID, Code: userCode, OAuth: true}}, fake.Logins())
	assert.Zero(t, fake.Requests("", ""), "no token was fetched")
}

// WeChat's refusals keep their errcode, and used up no code.
func TestExchange_Refusals(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	for code, want := range map[int]wechat.Class{
		40029: wechat.Person, 40163: wechat.Person, 40226: wechat.Person, 45011: wechat.Minute, -1: wechat.Transient, 40164: wechat.Person,
	} {
		fake.OnLogin(func(wechattest.Login, int) wechattest.Answer { return wechattest.Answer{Errcode: code} })
		e := exchangeFails(t, c, codeRequest(wechat.CodeToSession))
		assert.Equal(t, code, e.Code)
		assert.Equal(t, want, e.Class, code)
		assert.False(t, e.MayHaveIssued)
		assert.Contains(t, e.Message, "rid: ")
	}
	for _, api := range exchanges {
		for _, code := range []int{40001, 40125, 40013} {
			fake.OnLogin(func(wechattest.Login, int) wechattest.Answer { return wechattest.Answer{Errcode: code} })
			e := exchangeFails(t, c, codeRequest(api))
			assert.Equal(t, wechat.Person, e.Class, "about the AppSecret, not about a token")
			assert.Equal(t, hint.Account, e.Hint)
		}
		assert.Equal(t, wechat.Defect, exchangeFails(t, c, wechat.Request{API: api, AppID: appID, Secret: secret}).Class, "no code")
	}
}

// An errmsg that repeats the code or what belongs to the user is redacted.
func TestExchange_RedactsErrmsg(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	for _, text := range []string{
		userCode, "code=" + userCode + "&secret=" + secret, wechattest.OpenID(userCode), wechattest.SessionKey,
		"GET /sns/jscode2session?appid=" + appID + "&secret=" + secret + "&js_code=" + userCode + "&grant_type=authorization_code",
	} {
		fake.OnLogin(func(wechattest.Login, int) wechattest.Answer {
			return wechattest.Answer{Errcode: 40029, Errmsg: "invalid code: " + text + " rid: 65f0a1b2-1a2b3c4d-5e6f7a8b"}
		})
		assert.Contains(t, exchangeFails(t, c, codeRequest(wechat.CodeToSession)).Message, "rid: 65f0a1b2-1a2b3c4d-5e6f7a8b")
	}
	// A code of 8 characters and more is found whatever it consists of.
	short := codeRequest(wechat.OAuth)
	short.Code = "q.w:e(r)"
	fake.OnLogin(func(wechattest.Login, int) wechattest.Answer {
		return wechattest.Answer{Errcode: 40029, Errmsg: "code q.w:e(r) is bad"}
	})
	assert.Equal(t, "code [redacted] is bad", exchangeFails(t, c, short).Message)
}

// After an answer that is none, the code may be used up.
func TestExchange_BrokenAnswers(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	for name, answer := range map[string]wechattest.Answer{
		"reset":                 {Kind: wechattest.Reset},
		"502":                   {Kind: wechattest.ServerError},
		"a web page":            {Kind: wechattest.HTML},
		"a redirect":            {Kind: wechattest.Redirect},
		"an endless body":       {Kind: wechattest.Huge},
		"hang":                  {Kind: wechattest.Hang},
		"no body":               raw(200, ``),
		"null":                  raw(200, `null`),
		"no openid":             raw(200, `{"session_key":"canarytoken"}`),
		"an openid, a number":   raw(200, `{"openid":1}`),
		"an empty openid":       raw(200, `{"openid":""}`),
		"an openid with a 500":  raw(500, `{"openid":"canarytoken"}`),
		"an unreadable errcode": raw(200, `{"openid":"canarytoken","errcode":"x"}`),
	} {
		before := len(fake.Logins())
		fake.OnLogin(func(wechattest.Login, int) wechattest.Answer { return answer })
		e := exchangeFails(t, c, codeRequest(wechat.CodeToSession))
		assert.True(t, e.MayHaveIssued, name)
		assert.Len(t, fake.Logins(), before+1, "%s: sent once", name)
	}
	fake.OnLogin(func(wechattest.Login, int) wechattest.Answer {
		return raw(200, "\ufeff{\"openid\":\"o\",\"nickname\":\"\x01\xce\xd2\",\"errcode\":0}")
	})
	answer := must(c.Exchange(t.Context(), codeRequest(wechat.CodeToSession)))(t)
	assert.True(t, json.Valid([]byte(answer)), "readable, whatever WeChat sent")
}

// readsAndCloses counts the requests that it reads. It closes each connection without an answer.
func readsAndCloses(t *testing.T, answerFirst string) (url string, count *atomic.Int64) {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	count = &atomic.Int64{}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			lines := bufio.NewScanner(conn)
			for lines.Scan() {
				if lines.Text() != "" {
					continue
				}
				if count.Add(1) > 1 || answerFirst == "" {
					break
				}
				_, _ = io.WriteString(conn, answerFirst)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-served })
	return "http://" + listener.Addr().String(), count
}

// A server that reads the request and closes the connection gets it once, and no other host
// gets it.
func TestExchange_ReadAndClosed(t *testing.T) {
	for _, api := range exchanges {
		for name, transport := range map[string]http.RoundTripper{"its own": nil, "one that keeps connections": &http.Transport{}} {
			first, count := readsAndCloses(t, "")
			second, url := newFake(t)
			e := exchangeFails(t, newClient(t, transport, first, url), codeRequest(api))
			assert.True(t, e.MayHaveIssued, name)
			assert.Equal(t, int64(1), count.Load(), name)
			assert.Empty(t, second.Logins(), name)
		}
	}
}

// net/http repeats a GET if a kept connection is closed. It repeats no code.
func TestExchange_KeptConnectionClosed(t *testing.T) {
	const kept = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"openid\":\"o\"}"
	url, count := readsAndCloses(t, kept)
	c := newClient(t, &http.Transport{}, url)
	_ = must(c.Exchange(t.Context(), codeRequest(wechat.CodeToSession)))(t)
	e := exchangeFails(t, c, codeRequest(wechat.CodeToSession))
	assert.True(t, e.MayHaveIssued)
	assert.Equal(t, int64(2), count.Load(), "each was sent once")
}

// Each exchange has a connection of its own.
func TestExchange_OwnConnections(t *testing.T) {
	fake, url := newFake(t)
	var reused atomic.Int64
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if info.Reused {
			reused.Add(1)
		}
	}})
	c := newClient(t, nil, url)
	for _, api := range exchanges {
		_ = must(c.Exchange(ctx, codeRequest(api)))(t)
	}
	assert.Zero(t, reused.Load())
	assert.Len(t, fake.Logins(), 2)
}

// Another host is tried if nothing was sent to the one before.
func TestExchange_NextHostIfNothingWasSent(t *testing.T) {
	fake, url, trusting := newTLSFake(t)
	refused := closedPort(t)
	_ = must(newClient(t, trusting, "https://"+refused, url).Exchange(t.Context(), codeRequest(wechat.CodeToSession)))(t)
	assert.Len(t, fake.Logins(), 1)
	e := exchangeFails(t, newClient(t, nil, "http://"+refused, "https://"+refused), codeRequest(wechat.OAuth))
	assert.True(t, e.Unsent)
	assert.Equal(t, 2, strings.Count(e.Message, "connection refused"), "both were tried")
}
