package web_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// compat is the API of the sidecar with WeChat's own routes, at debug.
func (h *testSidecar) compat(tb testing.TB, bearerFile string) http.Handler {
	tb.Helper()
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	api, err := web.NewAPI(web.APIConfig{Group: h.group, BearerFile: bearerFile, Compat: true, Metrics: h.metrics, Log: log})
	require.NoError(tb, err)
	return api
}

const (
	classicPath = "/cgi-bin/token?grant_type=client_credential&appid="
	stablePath  = "/cgi-bin/stable_token"
	ticketPath  = "/cgi-bin/ticket/getticket?type=jsapi&access_token="
)

// classic asks as programs ask WeChat: without the header of /v1.
func classic(account string) ask { return ask{noMark: true, target: classicPath + account} }

func stable(body string) ask {
	return ask{noMark: true, method: "POST", target: stablePath, body: body}
}

// plain is a request of a program, for a path and query.
func plain(target string) ask { return ask{noMark: true, target: target} }

// errcode is that of an answer as WeChat's are; 0 where it has none.
func errcode(t *testing.T, a answer) int {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status)
	var body struct {
		Code int `json:"errcode"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &body))
	return body.Code
}

// WeChat's own routes answer as WeChat does.
func TestCompat_Answers(t *testing.T) {
	ids := []string{appID}
	for id := range failing {
		ids = append(ids, id)
	}
	h := newTestSidecar(t, failByAppID, ids...)
	dial := serve(t, h.compat(t, ""), "127.0.0.1:0")
	current := token(t, classic(appID).over(t, dial))
	const asWanted = `{"grant_type":"client_credential","appid":"` + appID + `","secret":"x"`
	cases := []struct {
		name string
		code int // 0: a token
		ask  ask
	}{
		{"a token", 0, classic(appID + "&secret=x")},
		{"a token without a secret", 0, classic(appID)},
		{"a token, other parameters first", 0, plain("/cgi-bin/token?x=1&secret=&appid=" + appID + "&grant_type=client_credential")},
		{"a token, the secret not encoded as it should be", 0, classic(appID + "&secret=%zz;+")},
		{"a token, with the header of /v1", 0, ask{target: classicPath + appID}},
		{"a stable token", 0, stable(asWanted + `}`)},
		{"a stable token, not forced", 0, stable(asWanted + `,"force_refresh":false}`)},
		{"a stable token, forced", 0, stable(asWanted + `,"force_refresh":true}`)},
		{"a stable token, oddly forced", 0, stable(asWanted + `,"force_refresh":"yes"}`)},
		{"a stable token without a secret", 0, stable(`{"appid":"` + appID + `","grant_type":"client_credential"}`)},

		{"no grant_type", 40002, plain("/cgi-bin/token?appid=" + appID)},
		{"another grant_type", 40002, plain("/cgi-bin/token?grant_type=authorization_code&appid=" + appID)},
		{"a stable token, no grant_type", 40002, stable(`{"appid":"` + appID + `"}`)},
		{"no query", 40002, plain("/cgi-bin/token")},
		{"no appid", 41002, plain("/cgi-bin/token?grant_type=client_credential&secret=x")},
		{"a stable token, no appid", 41002, stable(`{"grant_type":"client_credential","secret":"x"}`)},
		{"unknown AppID", 40013, classic("wxunknown")},
		{"what is no AppID", 40013, classic("wx%0d%0aget%20x")},
		{"a stable token, unknown AppID", 40013, stable(`{"grant_type":"client_credential","appid":"wxunknown"}`)},
		{"POST of a token", 43001, ask{noMark: true, method: "POST", target: classicPath + appID, body: "{}"}},
		{"POST of a ticket", 43001, ask{noMark: true, method: "POST", target: ticketPath + "x", body: "{}"}},
		{"GET of a stable token", 43002, plain(stablePath + "?grant_type=client_credential&appid=" + appID)},
		{"a body that is no JSON", 47001, stable("grant_type=client_credential&appid=" + appID)},
		{"a body that is no object", 47001, stable(`["` + appID + `"]`)},
		{"an appid that is a number", 47001, stable(`{"grant_type":"client_credential","appid":1}`)},
		{"no body", 47001, stable("")},
		{"a body over 8 KiB", 47001, stable(`{"x":"` + strings.Repeat("x", 8<<10) + `"}`)},

		{"a ticket that is not kept", 48001, plain(ticketPath + current)},
		{"a ticket for cards that is not kept", 48001, plain("/cgi-bin/ticket/getticket?type=wx_card&access_token=" + current)},
		{"a ticket of another type", 40097, plain("/cgi-bin/ticket/getticket?type=sdk&access_token=" + current)},
		{"a ticket of no type", 40097, plain("/cgi-bin/ticket/getticket?access_token=" + current)},
		{"a ticket without a token", 41001, plain("/cgi-bin/ticket/getticket?type=jsapi")},
		{"a ticket for an unknown token", 40001, plain(ticketPath + "90_nobodys")},

		{"WeChat does not know the egress address", 40164, classic("wxwhitelist")},
		{"WeChat refuses the AppSecret", 40125, classic("wxsecret")},
		{"WeChat's quota of the day", 45009, classic("wxquota")},
		{"an administrator refused", 89507, classic("wxrefused1h")},
		{"WeChat's quota of the minute", 45011, classic("wxminute")},
		{"WeChat is busy", -1, classic("wxbusy")},
	}
	calls := h.wechat.Requests(appID, "")
	var text strings.Builder
	for _, c := range cases {
		got := c.ask.over(t, dial)
		assert.Equal(t, c.code, errcode(t, got), c.name)
		if c.code == 0 {
			same := token(t, got) == current
			assert.True(t, same, "%s: the token of all", c.name)
		}
		text.WriteString("=== " + c.name + "\n" + got.String() + "\n")
	}
	assert.Equal(t, calls, h.wechat.Requests(appID, ""), "nothing forces a renewal")

	other := plain("/cgi-bin/user/get?access_token="+current).over(t, dial)
	assert.Equal(t, http.StatusNotFound, other.status)
	text.WriteString("=== a route of WeChat's that is none of credentials\n" + other.String())
	golden(t, "compat", text.String())

	assert.NotContains(t, h.log.String(), "grant_type", "no query is logged")
	assert.Contains(t, h.log.String(), "errcode=40164", "but what became of it, at debug")
}

// WeChat's own routes are off by default, and the answer names the variable.
func TestCompat_OffByDefault(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	dial := serve(t, h.api(t, ""), "127.0.0.1:0")
	for _, target := range []string{classicPath + appID, stablePath, ticketPath + "x"} {
		for _, one := range []ask{plain(target), {target: target}} {
			got := one.over(t, dial)
			assert.Equal(t, http.StatusNotFound, got.status, target)
			assert.Contains(t, got.body, "SIDECAR_COMPAT=true", target)
		}
	}
}

// WeChat's own routes do not change the others.
func TestCompat_LeavesTheAPI(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	dial := serve(t, h.compat(t, ""), "127.0.0.1:0")
	token(t, ask{target: tokenPath}.over(t, dial))
	assert.Equal(t, http.StatusForbidden, ask{target: tokenPath, noMark: true}.over(t, dial).status)
	assert.Equal(t, http.StatusForbidden, plain("/").over(t, dial).status)
	for _, other := range []string{"/cgi-bin", "//cgi-bin/token", "/cgi-bin/../cgi-bin/token", "/cgi-bin/%74oken", "/CGI-BIN/token", "/cgi-bin/token/"} {
		got := plain(other+"?grant_type=client_credential&appid="+appID).over(t, dial)
		assert.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, got.status, other)
		assert.Empty(t, got.header["Location"], "nothing is redirected")
	}
}

// A ticket comes as WeChat gives it.
func TestCompat_Ticket(t *testing.T) {
	h := newTestSidecar(t, nil)
	h.wechat.AddAccount(appID, secret)
	require.NoError(t, h.group.SetAccounts([]keeper.Account{{
		AppID: appID, Secret: func() (string, error) { return secret, nil }, Tickets: []memcache.Kind{memcache.JSAPITicket, memcache.WXCardTicket},
	}}))
	dial := serve(t, h.compat(t, withBearer(t)), "127.0.0.1:0")
	current := token(t, classic(appID+"&secret="+bearer).over(t, dial))
	given := map[string]bool{}
	for range 2 {
		for _, kind := range []string{"jsapi", "wx_card"} {
			got := plain("/cgi-bin/ticket/getticket?access_token="+current+"&type="+kind).over(t, dial)
			parts := regexp.MustCompile(`^\{"errcode":0,"errmsg":"ok","ticket":"([^"]+)","expires_in":(\d+)\}\n$`).FindStringSubmatch(got.body)
			require.Len(t, parts, 3, kind)
			assert.Equal(t, "application/json", got.header.Get("Content-Type"))
			assert.Zero(t, h.wechat.AcceptsTicket(parts[1]))
			given[parts[1]] = true
		}
	}
	assert.Len(t, given, 2, "one of each kind, however often it is asked for")
	assert.Len(t, h.wechat.Tickets(), 2)
}

// A request that waits in vain gets errcode -1.
func TestCompat_WaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: time.Minute} }, appID)
		api := h.compat(t, "")
		l := newPipes()
		serveOn(t, l, api)
		start := time.Now()
		web.SetMaxUnderWay(api, 1)
		waiting := l.dial()
		_, err := waiting.Write(classic(appID).bytes())
		require.NoError(t, err)
		synctest.Wait()
		crowded := classic(appID).over(t, l.dial)
		assert.Equal(t, -1, errcode(t, crowded))
		assert.Contains(t, crowded.body, "too many open requests")
		took(t, start, 0)
		assert.Equal(t, -1, errcode(t, readAnswer(t, waiting, "GET")))
		assert.LessOrEqual(t, time.Since(start), 12*time.Second+50*time.Millisecond)
		require.NoError(t, waiting.Close())
		assert.Zero(t, web.UnderWay(api))
	})
}

// Each error of the keeper becomes an answer of WeChat's.
func TestCompat_KeeperErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		body string
	}{
		{
			"WeChat's refusal, its rid kept",
			&keeper.Error{Reason: keeper.Refused, Code: 40243, Message: "AppSecret has been frozen rid: 1", Hint: hint.Hint{English: "unfreeze it"}},
			`{"errcode":40243,"errmsg":"AppSecret has been frozen rid: 1"}`,
		},
		{
			"one that passes by itself",
			&keeper.Error{Reason: keeper.Unavailable, Code: 45011, Message: "slower rid: 1", Hint: hint.Hint{English: "wait"}, RetryAfter: time.Minute},
			`{"errcode":45011,"errmsg":"slower rid: 1"}`,
		},
		{
			"nothing to give",
			&keeper.Error{Reason: keeper.Unavailable, Code: -1, Message: "memcached fails", Hint: hint.Hint{English: "look after it"}},
			`{"errcode":-1,"errmsg":"memcached fails (look after it)"}`,
		},
		{
			"no errcode is never success",
			&keeper.Error{Reason: keeper.Refused, Message: "no AppSecret"},
			`{"errcode":-1,"errmsg":"no AppSecret"}`,
		},
		{
			"the budget is used up",
			&keeper.Error{Reason: keeper.Budget, Code: 429, Message: "10 calls", Hint: hint.Hint{English: "find the other program"}},
			`{"errcode":-1,"errmsg":"10 calls (find the other program)"}`,
		},
		{
			"no such account",
			&keeper.Error{Reason: keeper.NotConfigured, Code: 40013, Message: "invalid appid"},
			`{"errcode":40013,"errmsg":"invalid appid"}`,
		},
		{
			"no such ticket",
			&keeper.Error{Reason: keeper.NotConfigured, Code: 404, Message: "not kept: wx_card_ticket", Hint: hint.Hint{English: "add it to WECHAT_TICKETS"}},
			`{"errcode":48001,"errmsg":"api unauthorized: not kept: wx_card_ticket (add it to WECHAT_TICKETS)"}`,
		},
		{
			"a fault", errors.New("canarysecret"),
			`{"errcode":-1,"errmsg":"internal error of wxsidecar: report it as a fault of wxsidecar"}`,
		},
	} {
		status, body := web.AsWeChat(c.err)
		assert.Equal(t, http.StatusOK, status, c.name)
		assert.Equal(t, c.body+"\n", body, c.name)
	}
}
