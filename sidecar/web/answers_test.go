package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// accounts that fail, by their AppID.
var failing = map[string]int{
	"wxwhitelist": 40164,
	"wxsecret":    40125,
	"wxquota":     45009,
	"wxrefused1h": 89507,
	"wxminute":    45011,
	"wxbusy":      -1,
}

func failByAppID(r wechattest.Request) wechattest.Answer {
	return wechattest.Answer{Errcode: failing[r.AppID]}
}

const (
	tokenPath   = "/v1/" + appID + "/access_token"
	refreshPath = tokenPath + "/refresh"
	signPath    = "/v1/" + appID + "/jsapi_signature"
)

// Every answer is the one in the golden file.
func TestAPI_Answers(t *testing.T) {
	ids := []string{appID}
	for id := range failing {
		ids = append(ids, id)
	}
	h := newTestSidecar(t, failByAppID, ids...)
	dial := serve(t, h.api(t, ""), "127.0.0.1:0")
	post := func(body string) ask { return ask{method: "POST", target: refreshPath, body: body} }
	cases := []struct {
		name   string
		status int
		ask    ask
	}{
		{"a token", 200, ask{target: tokenPath}},
		{"a query is ignored", 200, ask{target: tokenPath + "?x=%2F"}},
		{"a report of a token that is no longer ours", 200, post(`{"rejected":"some-older-token","more":1}`)},

		{"no X-Wxsidecar", 403, ask{target: tokenPath, noMark: true}},
		{"no X-Wxsidecar at the root", 403, ask{target: "/", noMark: true}},
		{"another X-Wxsidecar", 403, ask{target: tokenPath, noMark: true, header: []string{"X-Wxsidecar: true"}}},
		{"X-Wxsidecar twice", 403, ask{target: tokenPath, header: []string{"X-Wxsidecar: 1"}}},
		{"X-Forwarded-For", 403, ask{target: tokenPath, header: []string{"X-Forwarded-For: 127.0.0.1"}}},
		{"an empty X-Forwarded-For", 403, ask{target: tokenPath, header: []string{"x-forwarded-for:"}}},
		{"Origin", 403, ask{target: tokenPath, header: []string{"Origin: http://127.0.0.1:7200"}}},
		{"a Host that is not loopback", 403, ask{target: tokenPath, host: "evil.com"}},

		{"AppID with a dot", 400, ask{target: "/v1/wx.1/access_token"}},
		{"no AppID", 400, ask{target: "/v1//access_token"}},
		{"AppID of 65 bytes", 400, ask{target: "/v1/" + strings.Repeat("a", 65) + "/access_token"}},
		{"a path with an encoded slash", 400, ask{target: "/v1/wx%2F1/access_token"}},
		{"a path with an encoded letter", 400, ask{target: "/v1/" + appID + "/access%5Ftoken"}},
		{"a path with an encoded space", 400, ask{target: "/v1/wx%201/access_token"}},
		{"a request meant for a proxy", 400, ask{target: "http://127.0.0.1:7200" + tokenPath}},
		{"no JSON", 400, post(`rejected=x`)},
		{"JSON that goes on", 400, post(`{"rejected":"x"} {}`)},
		{"no rejected", 400, post(`{}`)},
		{"no body", 400, ask{method: "POST", target: refreshPath}},
		{"rejected is null", 400, post(`{"rejected":null}`)},
		{"rejected is a number", 400, post(`{"rejected":1}`)},
		{"rejected is empty", 400, post(`{"rejected":""}`)},
		{"rejected has a space", 400, post(`{"rejected":"a b"}`)},
		{"rejected is not ASCII", 400, post(`{"rejected":"微信"}`)},
		{"rejected of 2049 bytes", 400, post(`{"rejected":"` + strings.Repeat("x", 2049) + `"}`)},

		{"a signature without a URL", 400, ask{target: signPath}},
		{"a signature, the URL not first", 400, ask{target: signPath + "?v=1&url=https%3A%2F%2Fexample.com%2F"}},
		{"a signature, the URL not encoded", 400, ask{target: signPath + "?url=https://example.com/?a=1&b=2"}},
		{"a signature, the URL badly encoded", 400, ask{target: signPath + "?url=https%3A%2F%2Fexample.com%2F%zz"}},
		{"a signature of no address", 400, ask{target: signPath + "?url=example.com"}},
		{"a signature without a body", 400, ask{method: "POST", target: signPath}},
		{"a signature, the url in capitals", 400, ask{method: "POST", target: signPath, body: `{"URL":"https://example.com/"}`}},
		{"a signature, the url a number", 400, ask{method: "POST", target: signPath, body: `{"url":1}`}},

		{"unknown AppID", 404, ask{target: "/v1/wxunknown/access_token"}},
		{"report for an unknown AppID", 404, ask{method: "POST", target: "/v1/wxunknown/access_token/refresh", body: `{"rejected":"x"}`}},
		{"jsapi_ticket", 404, ask{target: "/v1/" + appID + "/jsapi_ticket"}},
		{"report of a wx_card_ticket", 404, ask{method: "POST", target: "/v1/" + appID + "/wx_card_ticket/refresh", body: `{"rejected":"x"}`}},
		{"a signature, the ticket not kept", 404, ask{target: signPath + "?url=https%3A%2F%2Fexample.com%2F"}},
		{"a signature for an unknown AppID", 404, ask{target: "/v1/wxunknown/jsapi_signature?url=https%3A%2F%2Fexample.com%2F"}},
		{"a signature and more", 404, ask{target: signPath + "/refresh"}},
		{"unknown kind", 404, ask{target: "/v1/" + appID + "/refresh_token"}},
		{"no kind", 404, ask{target: "/v1/" + appID}},
		{"a slash at the end", 404, ask{target: tokenPath + "/"}},
		{"a slash at the end of a refresh", 404, ask{method: "POST", target: refreshPath + "/", body: `{"rejected":"x"}`}},
		{"two slashes at the start", 404, ask{target: "/" + tokenPath}},
		{"a path to be cleaned", 404, ask{target: "/v1/../v1/" + appID + "/access_token"}},
		{"another version", 404, ask{target: "/v2/" + appID + "/access_token"}},
		{"the root", 404, ask{target: "/"}},
		{"OPTIONS *", 404, ask{method: "OPTIONS", target: "*"}},

		{"POST of a token", 405, ask{method: "POST", target: tokenPath, body: `{}`}},
		{"HEAD", 405, ask{method: "HEAD", target: tokenPath}},
		{"OPTIONS", 405, ask{method: "OPTIONS", target: tokenPath}},
		{"GET of a refresh", 405, ask{target: refreshPath}},
		{"PUT of a signature", 405, ask{method: "PUT", target: signPath, body: `{"url":"https://example.com/"}`}},
		{"an unknown method", 405, ask{method: "BREW", target: tokenPath}},

		{"a body over 8 KiB", 413, post(`{"rejected":"x","more":"` + strings.Repeat("x", 8<<10) + `"}`)},
		{"a body over 8 KiB in chunks", 413, ask{
			method: "POST", target: refreshPath + " HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX-Rest:",
			header: []string{"", "2001\r\n" + strings.Repeat("x", 8<<10+1), "0", ""},
		}},

		{"WeChat does not know the egress address", 502, ask{target: "/v1/wxwhitelist/access_token"}},
		{"WeChat refuses the AppSecret", 502, ask{target: "/v1/wxsecret/access_token"}},
		{"WeChat's quota of the day", 502, ask{target: "/v1/wxquota/access_token"}},
		{"an administrator refused", 502, ask{target: "/v1/wxrefused1h/access_token"}},
		{"WeChat's quota of the minute", 503, ask{target: "/v1/wxminute/access_token"}},
		{"WeChat is busy", 503, ask{target: "/v1/wxbusy/access_token"}},
	}
	var text strings.Builder
	for _, c := range cases {
		got := c.ask.over(t, dial)
		assert.Equal(t, c.status, got.status, c.name)
		if c.ask.method != "HEAD" {
			assert.True(t, json.Valid([]byte(got.body)), c.name)
		}
		assert.Empty(t, got.header["Location"], "nothing is redirected")
		text.WriteString("=== " + c.name + "\n" + got.String() + "\n")
	}
	golden(t, "answers", text.String())
}

// A report causes one renewal, and the throttle refuses the next one.
func TestAPI_ReportRenewsOnce(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	dial := serve(t, h.api(t, ""), "127.0.0.1:0")
	first := token(t, ask{target: tokenPath}.over(t, dial))
	report := func(rejected string) answer {
		return ask{method: "POST", target: refreshPath, body: `{"rejected":"` + rejected + `"}`}.over(t, dial)
	}
	second := token(t, report(first))
	assert.NotEqual(t, first, second)
	assert.Equal(t, second, token(t, report(first)), "a newer one is there: at once")
	assert.Equal(t, second, token(t, ask{target: tokenPath}.over(t, dial)))
	assert.Equal(t, 2, h.wechat.Issues(appID))

	refused := report(second)
	assert.Equal(t, http.StatusTooManyRequests, refused.status)
	golden(t, "budget", refused.String())
	assert.Equal(t, 2, h.wechat.Issues(appID))
}

// token is that of an answer that must have one.
func token(t *testing.T, a answer) string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status)
	var body struct {
		Token     string `json:"access_token"`
		ExpiresIn int    `json:"expires_in"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &body))
	require.Contains(t, body.Token, "canarytoken")
	require.InDelta(t, 3575, body.ExpiresIn, 5, "until it is due, and 275 s")
	return body.Token
}
