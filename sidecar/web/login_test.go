package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/login"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	loginPath   = "/v1/" + appID + "/login"
	oauthPath   = "/v1/" + appID + "/oauth"
	sessionPath = "/sns/jscode2session"
	userPath    = "/sns/oauth2/access_token"
	grantOfCode = "?grant_type=authorization_code&appid=" + appID
	userCode    = "canarytoken-code-1"
)

// logins is the API of the sidecar with logins and WeChat's own routes, at debug.
func (h *testSidecar) logins(tb testing.TB, bearerFile string) http.Handler {
	tb.Helper()
	transport, stop := h.wechat.Pipe()
	tb.Cleanup(stop)
	client, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport, Timeout: 5 * time.Second})
	require.NoError(tb, err)
	return h.loginsBy(tb, bearerFile, login.WeChat(client))
}

func (h *testSidecar) loginsBy(tb testing.TB, bearerFile string, exchange login.Exchange) http.Handler {
	tb.Helper()
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	api, err := web.NewAPI(web.APIConfig{Group: h.group, BearerFile: bearerFile, Compat: true, Login: exchange, Metrics: h.metrics, Log: log})
	require.NoError(tb, err)
	return api
}

// loginWith asks for a login of a mini program's user.
func loginWith(code string) ask {
	return ask{method: "POST", target: loginPath, body: `{"js_code":"` + code + `"}`}
}

// failLogin refuses codes by their ends.
func failLogin(l wechattest.Login, _ int) wechattest.Answer {
	for code, answer := range map[string]wechattest.Answer{
		"-blocked": {Errcode: 40226}, "-often": {Errcode: 45011}, "-busy": {Errcode: -1}, "-secret": {Errcode: 40001},
		"-address": {Errcode: 40164}, "-reset": {Kind: wechattest.Reset}, "-502": {Kind: wechattest.ServerError},
		"-page": {Kind: wechattest.HTML}, "-echo": {Errcode: 40029, Errmsg: "invalid code " + l.Code + " of " + wechattest.OpenID(l.Code) + " rid: 1-1"},
	} {
		if strings.HasSuffix(l.Code, code) {
			return answer
		}
	}
	return wechattest.Answer{}
}

// Every answer of the routes for logins is the one in the golden file. None shows a code.
func TestLogin_Answers(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	h.wechat.OnLogin(failLogin)
	dial := serve(t, h.logins(t, ""), "127.0.0.1:0")
	oauth := func(body string) ask { return ask{method: "POST", target: oauthPath, body: body} }
	compat := func(path, query string) ask { return plain(path + grantOfCode + query) }
	cases := []struct {
		name   string
		status int
		code   int
		sent   int // to WeChat
		ask    ask
	}{
		{"a login", 200, 0, 1, loginWith(userCode)},
		{"a login with a used code", 502, 40163, 1, loginWith(userCode)},
		{"a login with an invalid code", 502, 40029, 1, loginWith("canarytoken-invalid")},
		{"a login that is blocked", 502, 40226, 1, loginWith("canarytoken-blocked")},
		{"a login too often", 502, 45011, 1, loginWith("canarytoken-often")},
		{"a login while WeChat is busy", 502, -1, 1, loginWith("canarytoken-busy")},
		{"a login with a wrong AppSecret", 502, 40001, 1, loginWith("canarytoken-secret")},
		{"a login from an address that is not listed", 502, 40164, 1, loginWith("canarytoken-address")},
		{"a login that is reset", 502, -1, 1, loginWith("canarytoken-reset")},
		{"a login, HTTP 502", 502, -1, 1, loginWith("canarytoken-502")},
		{"a login, a web page", 502, -1, 1, loginWith("canarytoken-page")},
		{"a login, an errmsg that repeats it all", 502, 40029, 1, loginWith("canarytoken-echo")},
		{"a user of a web page", 200, 0, 1, oauth(`{"code":"` + userCode + `","state":"x"}`)},
		{"a user of a web page with a used code", 502, 40163, 1, oauth(`{"code":"` + userCode + `"}`)},

		{"a login without a body", 400, 400, 0, ask{method: "POST", target: loginPath}},
		{"a login with another field", 400, 400, 0, ask{method: "POST", target: loginPath, body: `{"code":"` + userCode + `"}`}},
		{"a login with an empty code", 400, 400, 0, loginWith("")},
		{"a login with the code of a tourist's DevTools", 400, 400, 0, loginWith("the code is a mock one")},
		{"a login with a long code", 400, 400, 0, loginWith(strings.Repeat("x", 513))},
		{"a login with a code that is a number", 400, 400, 0, oauth(`{"code":1}`)},
		{"a login with a form", 400, 400, 0, oauth("code=" + userCode)},
		{"a login with a large body", 413, 413, 0, loginWith(strings.Repeat("x", 8<<10))},
		{"a login with an unknown AppID", 404, 40013, 0, ask{method: "POST", target: "/v1/wxunknown/login", body: `{"js_code":"x"}`}},
		{"GET of a login", 405, 405, 0, ask{target: loginPath + "?js_code=" + userCode}},
		{"a login and more", 404, 404, 0, ask{method: "POST", target: loginPath + "/refresh", body: `{"js_code":"x"}`}},

		{"WeChat's route: a login", 200, 0, 1, compat(sessionPath, "&secret=x&js_code=canarytoken-2")},
		{"WeChat's route: a used code", 200, 40163, 1, compat(sessionPath, "&js_code=canarytoken-2")},
		{"WeChat's route: a user of a web page", 200, 0, 1, compat(userPath, "&secret=x&code=canarytoken-2")},
		{"WeChat's route: a login that is reset", 200, 40029, 1, compat(sessionPath, "&js_code=canarytoken-2-reset")},
		{"WeChat's route: no grant_type", 200, 40002, 0, plain(sessionPath + "?appid=" + appID + "&js_code=x")},
		{"WeChat's route: the grant_type of a token", 200, 40002, 0, plain(sessionPath + "?grant_type=client_credential&appid=" + appID + "&js_code=x")},
		{"WeChat's route: no appid", 200, 41002, 0, plain(sessionPath + "?grant_type=authorization_code&js_code=x")},
		{"WeChat's route: no code", 200, 41008, 0, compat(sessionPath, "&code=x")},
		{"WeChat's route: no possible code", 200, 40029, 0, compat(userPath, "&code=a%20b")},
		{"WeChat's route: an unknown AppID", 200, 40013, 0, plain(sessionPath + "?grant_type=authorization_code&appid=wxunknown&js_code=x")},
		{"WeChat's route: POST", 200, 43001, 0, ask{noMark: true, method: "POST", target: sessionPath + grantOfCode + "&js_code=x", body: "{}"}},
		{"WeChat's route: another one", 404, 404, 0, plain("/sns/userinfo?access_token=canarytoken&openid=canarytoken")},
	}
	var text strings.Builder
	for _, c := range cases {
		before := len(h.wechat.Logins())
		got := c.ask.over(t, dial)
		assert.Equal(t, c.status, got.status, c.name)
		assert.Equal(t, c.sent, len(h.wechat.Logins())-before, c.name)
		assert.Equal(t, "no-store", got.header.Get("Cache-Control"), c.name)
		var body struct {
			Code   int    `json:"errcode"`
			OpenID string `json:"openid"`
		}
		require.NoError(t, json.Unmarshal([]byte(got.body), &body), c.name)
		assert.Equal(t, c.code, body.Code, c.name)
		assert.Equal(t, c.code == 0, body.OpenID != "", c.name)
		assert.Equal(t, got.status == 503, got.header.Get("Retry-After") != "", c.name)
		if c.code != 0 {
			text.WriteString("=== " + c.name + "\n" + got.String() + "\n")
		}
	}
	golden(t, "login", text.String())
	assert.LessOrEqual(t, h.wechat.Requests(appID, "token"), 1, "40001 is no report of a token")
	assert.Contains(t, h.log.String(), "login failed")
	assert.NotContains(t, h.log.String(), "jscode2session", "no URL is logged")
}

// Without SIDECAR_LOGIN the routes are 404 and name it, whatever the method.
func TestLogin_OffByDefault(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	open, compat := serve(t, h.api(t, ""), "127.0.0.1:0"), serve(t, h.compat(t, ""), "127.0.0.1:0")
	for _, one := range []ask{loginWith(userCode), {target: loginPath}, {method: "POST", target: oauthPath, body: `{"code":"x"}`}} {
		got := one.over(t, open)
		assert.Equal(t, http.StatusNotFound, got.status, one.target)
		assert.Contains(t, got.body, "SIDECAR_LOGIN=true", one.target)
	}
	for _, path := range []string{sessionPath + grantOfCode + "&js_code=x", userPath + grantOfCode + "&code=x"} {
		got := plain(path).over(t, open)
		assert.Equal(t, http.StatusNotFound, got.status, path)
		assert.Contains(t, got.body, "SIDECAR_COMPAT=true", path)
		got = plain(path).over(t, compat)
		assert.Equal(t, http.StatusNotFound, got.status, path)
		assert.Contains(t, got.body, "SIDECAR_LOGIN=true", path)
	}
	assert.Empty(t, h.wechat.Logins())
}

// The guards are those of tokens, and nothing reaches WeChat past them.
func TestLogin_Guards(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	file := withBearer(t)
	open, closed := serve(t, h.logins(t, ""), "127.0.0.1:0"), serve(t, h.logins(t, file), "127.0.0.1:0")
	session := plain(sessionPath + grantOfCode + "&js_code=x")
	for _, header := range []string{"X-Forwarded-For: 127.0.0.1", "Origin: null"} {
		for _, one := range []ask{loginWith(userCode), session} {
			one.header = []string{header}
			assert.Equal(t, http.StatusForbidden, one.over(t, open).status, header)
		}
	}
	for _, one := range []ask{loginWith(userCode), session} {
		one.host = "evil.com"
		assert.Equal(t, http.StatusForbidden, one.over(t, open).status)
	}
	unmarked, browser := loginWith(userCode), session
	unmarked.noMark, browser.header = true, []string{"Sec-Fetch-Site: same-origin"}
	assert.Equal(t, http.StatusForbidden, unmarked.over(t, open).status)
	assert.Equal(t, http.StatusForbidden, browser.over(t, open).status)

	assert.Equal(t, http.StatusUnauthorized, loginWith(userCode).over(t, closed).status)
	assert.Equal(t, 41004, errcode(t, session.over(t, closed)))
	assert.Equal(t, 40125, errcode(t, plain(sessionPath+grantOfCode+"&js_code=x&secret="+url.QueryEscape(secret)).over(t, closed)))
	assert.Empty(t, h.wechat.Logins())

	admitted := loginWith(userCode)
	admitted.header = []string{"Authorization: Bearer " + bearer}
	assert.Equal(t, http.StatusOK, admitted.over(t, closed).status)
	assert.Zero(t, errcode(t, plain(sessionPath+grantOfCode+"&js_code=x&secret="+bearer).over(t, closed)))
	overUnix := serve(t, h.logins(t, ""), "unix://"+filepath.Join(t.TempDir(), "s"))
	anyHost := loginWith("canarytoken-unix")
	anyHost.host = "sidecar"
	assert.Equal(t, http.StatusOK, anyHost.over(t, overUnix).status)
}

// 64 logins are open at a time; the next one is refused, and its code can be sent again.
// Tokens are still given.
func TestLogin_Limit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		h.wechat.OnLogin(func(wechattest.Login, int) wechattest.Answer { return wechattest.Answer{Delay: 3 * time.Second} })
		l := newPipes()
		serveOn(t, l, h.logins(t, ""))
		var waiting []net.Conn
		for i := range 64 {
			conn := l.dial()
			_, err := conn.Write(loginWith(fmt.Sprintf("canarytoken-%d", i)).bytes())
			require.NoError(t, err)
			waiting = append(waiting, conn)
		}
		synctest.Wait()
		start := time.Now()
		refused := loginWith(userCode).over(t, l.dial)
		assert.Equal(t, http.StatusServiceUnavailable, refused.status)
		assert.Equal(t, "1", refused.header.Get("Retry-After"))
		assert.Contains(t, refused.body, "too many open logins")
		crowded := plain(sessionPath+grantOfCode+"&js_code=x").over(t, l.dial)
		assert.Equal(t, -1, errcode(t, crowded))
		token(t, ask{target: tokenPath}.over(t, l.dial))
		took(t, start, 0)
		assert.Len(t, h.wechat.Logins(), 64)
		for _, conn := range waiting {
			assert.Equal(t, http.StatusOK, readAnswer(t, conn, "POST").status)
			require.NoError(t, conn.Close())
		}
		assert.Equal(t, http.StatusOK, loginWith(userCode).over(t, l.dial).status)
	})
}

// Open requests for tokens keep no login out.
func TestLogin_ApartFromTokens(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	api := h.logins(t, "")
	web.SetMaxUnderWay(api, 0)
	dial := serve(t, api, "127.0.0.1:0")
	assert.Equal(t, http.StatusServiceUnavailable, ask{target: tokenPath}.over(t, dial).status)
	assert.Equal(t, http.StatusOK, loginWith(userCode).over(t, dial).status)
}

// A slow WeChat gets each code once. The answer comes within the time that callers wait.
func TestLogin_Slow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		h.wechat.OnLogin(func(wechattest.Login, int) wechattest.Answer { return wechattest.Answer{Kind: wechattest.Hang} })
		l := newPipes()
		serveOn(t, l, h.logins(t, ""))
		start := time.Now()
		got := loginWith(userCode).over(t, l.dial)
		took(t, start, 5*time.Second)
		assert.Equal(t, http.StatusBadGateway, got.status)
		assert.Contains(t, got.body, "no answer in time")
		assert.Contains(t, got.body, "may be used up")
		assert.Empty(t, got.header.Get("Retry-After"))
		assert.Len(t, h.wechat.Logins(), 1)

		patient := newPipes()
		serveOn(t, patient, h.loginsBy(t, "", func(ctx context.Context, _ login.Request) (string, error) {
			<-ctx.Done()
			return "", &login.Error{Status: 502, Code: -1, Message: "no answer in time"}
		}))
		start = time.Now()
		assert.Equal(t, http.StatusBadGateway, loginWith(userCode).over(t, patient.dial).status)
		took(t, start, 12*time.Second)
	})
}

// Failures that an operator can end are logged once a minute; those of users are not.
func TestLogin_Log(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		h.wechat.OnLogin(failLogin)
		l := newPipes()
		serveOn(t, l, h.logins(t, ""))
		lines := func() []string { return splitLines(h.log.String(), "login failed") }
		for _, code := range []string{userCode, userCode, "canarytoken-invalid", "canarytoken-blocked", "canarytoken-often"} {
			loginWith(code).over(t, l.dial)
		}
		assert.Empty(t, lines())
		for range 3 {
			loginWith("canarytoken-secret").over(t, l.dial)
		}
		require.Len(t, lines(), 1)
		assert.Contains(t, lines()[0], "appid="+appID+" errcode=40001")
		assert.Contains(t, lines()[0], "check AppID and AppSecret")
		time.Sleep(time.Minute)
		loginWith("canarytoken-502").over(t, l.dial)
		assert.Len(t, lines(), 2)
		assert.Contains(t, probe(h.ops(), "GET", "/metrics").body, `wxsidecar_answers_total{source="login"} 1`)
	})
}

// An exchange of whatever kind that fails without a reason is a fault of the program.
func TestLogin_Fault(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	dial := serve(t, h.loginsBy(t, "", func(context.Context, login.Request) (string, error) { return "", context.Canceled }), "127.0.0.1:0")
	got := loginWith(userCode).over(t, dial)
	assert.Equal(t, http.StatusInternalServerError, got.status)
	assert.Equal(t, -1, errcode(t, plain(sessionPath+grantOfCode+"&js_code=x").over(t, dial)))
}

// A caller that may only read gets no login, whatever the route.
func TestLogin_Readers(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	file := filepath.Join(t.TempDir(), "readers")
	require.NoError(t, os.WriteFile(file, []byte(readers+"\n"), 0o600))
	api, err := web.NewAPI(web.APIConfig{
		Group: h.group, BearerFile: withBearer(t), ReaderFile: file, Compat: true,
		Login: func(context.Context, login.Request) (string, error) { return `{"openid":"o"}`, nil },
	})
	require.NoError(t, err)
	dial := serve(t, api, "127.0.0.1:0")
	for path, body := range map[string]string{loginPath: `{"js_code":"x"}`, oauthPath: `{"code":"x"}`} {
		one := ask{method: "POST", target: path, body: body, header: as(readers)}
		refused := one.over(t, dial)
		assert.Equal(t, http.StatusForbidden, refused.status, path)
		assert.Contains(t, refused.body, "may only read", path)
		one.header = as(bearer)
		assert.Equal(t, http.StatusOK, one.over(t, dial).status, path)
	}
	for path, field := range map[string]string{sessionPath: "js_code", userPath: "code"} {
		query := grantOfCode + "&" + field + "=x&secret="
		assert.Equal(t, http.StatusForbidden, plain(path+query+readers).over(t, dial).status, path)
		assert.Zero(t, errcode(t, plain(path+query+bearer).over(t, dial)), path)
	}
}
