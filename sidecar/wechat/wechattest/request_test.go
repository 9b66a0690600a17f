package wechattest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// A bad request gets WeChat's errcode.
func TestCheck_ErrcodesOfWeChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.fake.AddAccount("wxother", "canarysecret-other")
		for name, tt := range map[string]struct {
			method, path, body string
			want               int
		}{
			"grant_type":     {"GET", "/cgi-bin/token?appid=" + appID + "&secret=" + secret, "", 40002},
			"no appid":       {"GET", classicPath("", secret), "", 41002},
			"no secret":      {"GET", classicPath(appID, ""), "", 41004},
			"unknown appid":  {"GET", classicPath("wxnobody", secret), "", 40013},
			"wrong secret":   {"GET", classicPath(appID, "canarysecret-wrong"), "", 40125},
			"other's secret": {"GET", classicPath(appID, "canarysecret-other"), "", 40001},
			"POST":           {"POST", classicPath(appID, secret), "", 43001},
			"GET":            {"GET", "/cgi-bin/stable_token", "", 43002},
			"no JSON":        {"POST", "/cgi-bin/stable_token", "appid=" + appID, 47001},
			"stable, appid":  {"POST", "/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"x","secret":"y"}`, 40013},
			"no token":       {"GET", "/cgi-bin/user/info", "", 41001},
			"a bad token":    {"POST", "/cgi-bin/menu/create?access_token=%20%20%20%20%20%20%20%20%20%20%20%20%20%20%20%20", "{}", 40014},
			"a short token":  {"GET", "/cgi-bin/user/info?access_token=x", "", 40014},
			"unknown token":  {"GET", "/cgi-bin/user/info?access_token=abcdefghijklmnopqrstuvwxyz", "", 40001},
		} {
			r, err := c.do(t.Context(), tt.method, tt.path, tt.body)
			require.NoError(t, err, name)
			assert.Equal(t, tt.want, r.Errcode, name)
			assert.Contains(t, r.Errmsg, " rid: ", name)
			assert.NotContains(t, r.Errmsg, "canary", name)
		}
		assert.Zero(t, c.fake.Issues(""))
		_, err := c.do(t.Context(), "GET", "/elsewhere", "")
		assert.ErrorContains(t, err, "404")
	})
}

// A new AppSecret replaces the previous one.
func TestSetSecret_ReplacesPrevious(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		token := c.classic(t)
		c.fake.SetSecret(appID, "canarysecret-new")
		assert.Equal(t, 40125, c.tryClassic(t))
		c.assertErrcode(t, 0, token, "its tokens go on")
	})
}

// FailAll refuses every request until Heal.
func TestFailAll_UntilHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		token := c.classic(t)
		c.fake.FailAll(40164)
		r := c.stable(t, false)
		assert.Equal(t, 40164, r.Errcode)
		assert.True(t, strings.HasPrefix(r.Errmsg, "invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: "))
		c.assertErrcode(t, 0, token, "APIs are not concerned")
		c.fake.Heal()
		assert.Zero(t, c.tryClassic(t))
	})
}

// The hook sees each request once.
func TestOnRequest_SeesEachRequestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		var seen []wechattest.Request
		c.fake.OnRequest(func(request wechattest.Request) wechattest.Answer {
			seen = append(seen, request)
			c.fake.Issued() // a hook may call the server
			return wechattest.Answer{}
		})
		c.classic(t)
		c.stable(t, true)
		assert.Equal(t, []wechattest.Request{
			{AppID: appID, API: "token", N: 1},
			{AppID: appID, API: "stable_token", N: 2, Force: true},
		}, seen)
	})
}

// A broken answer issues a token only if its name says so.
func TestKind_IssuesAsNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		answer wechattest.Answer
		issues int
	}{
		"Hang":              {wechattest.Answer{Kind: wechattest.Hang}, 0},
		"IssuedHang":        {wechattest.Answer{Kind: wechattest.IssuedHang}, 1},
		"Reset":             {wechattest.Answer{Kind: wechattest.Reset}, 0},
		"IssuedNoAnswer":    {wechattest.Answer{Kind: wechattest.IssuedNoAnswer}, 1},
		"ServerError":       {wechattest.Answer{Kind: wechattest.ServerError}, 0},
		"IssuedServerError": {wechattest.Answer{Kind: wechattest.IssuedServerError}, 1},
		"HTML":              {wechattest.Answer{Kind: wechattest.HTML}, 0},
		"Huge":              {wechattest.Answer{Kind: wechattest.Huge}, 0},
		"TruncatedJSON":     {wechattest.Answer{Kind: wechattest.TruncatedJSON}, 1},
		"Raw":               {wechattest.Answer{Kind: wechattest.Raw, Status: 503}, 0},
		"slow to process":   {wechattest.Answer{Delay: time.Minute}, 0},
		"late":              {wechattest.Answer{Delay: time.Minute, Late: true}, 1},
		"slow to answer":    {wechattest.Answer{DelayAfter: time.Minute}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newPiped(t)
				c.fake.OnRequest(func(wechattest.Request) wechattest.Answer { return tt.answer })
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				_, err := c.do(ctx, http.MethodGet, classicPath(appID, secret), "")
				require.Error(t, err)
				time.Sleep(2 * time.Minute)
				assert.Equal(t, tt.issues, c.fake.Issues(appID))
				assert.Equal(t, 1, c.fake.Requests("", ""))
			})
		})
	}
}

// Odd successful answers are sent as requested.
func TestKind_OddSuccesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		for kind, want := range map[wechattest.Kind]int{
			wechattest.ZeroExpires: 0, wechattest.NoExpires: 0, wechattest.ShortExpires: 9, wechattest.EmptyToken: 7200,
		} {
			c.fake.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Kind: kind} })
			r, err := c.do(t.Context(), http.MethodGet, classicPath(appID, secret), "")
			require.NoError(t, err)
			assert.Equal(t, want, r.ExpiresIn)
			assert.Equal(t, kind == wechattest.EmptyToken, r.Token == "")
		}
		assert.Equal(t, 3, c.fake.Issues(appID))
	})
}

// A delayed request is answered.
func TestAnswer_Delay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newPiped(t)
		c.fake.OnRequest(func(wechattest.Request) wechattest.Answer {
			return wechattest.Answer{Delay: 2 * time.Second, DelayAfter: 3 * time.Second}
		})
		start := time.Now()
		c.classic(t)
		assert.Equal(t, 5*time.Second, time.Since(start))
		assert.True(t, c.fake.Issued()[0].At.Equal(start.Add(2*time.Second)), "processed between the delays")
	})
}
