package wechat_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// oddSecret is encoded differently in URLs, JSON and HTML.
const oddSecret = `canarysecret/+ &="<ü%2F>`

// spellings returns every way to print a value.
func spellings(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	text := must(json.Marshal(v))(t)
	out.Write(text)
	slog.New(slog.NewJSONHandler(&out, nil)).Error("x", "v", v)
	slog.New(slog.NewTextHandler(&out, nil)).Error("x", "v", v)
	if err, ok := v.(error); ok {
		for ; err != nil; err = errors.Unwrap(err) {
			fmt.Fprintf(&out, "%v %+v %#v %T\n", err, err, err, err)
		}
	}
	return out.String()
}

// assertShowsNothing asserts that no secret and no token of the tests shows. It does not
// print what it found.
func assertShowsNothing(t *testing.T, v any) {
	t.Helper()
	text := strings.ToLower(spellings(t, v))
	for _, mark := range []string{"canarysecret", "canarytoken", fmt.Sprintf("%x", "canarysecret"), "%2f%2b", "2fcanary"} {
		found := strings.Contains(text, mark)
		assert.False(t, found, "a %T shows %q", v, mark)
	}
}

// An errmsg that repeats the AppSecret is redacted.
func TestRedaction_ErrmsgWithSecret(t *testing.T) {
	fake, base := newFake(t)
	c := newClient(t, nil, base)
	for _, key := range []string{secret, oddSecret, "CanarySecret-5F4DCC3B+5AA7"} {
		query := url.Values{"grant_type": {"client_credential"}, "appid": {appID}, "secret": {key}}.Encode()
		inJSON := must(json.Marshal(key))(t)
		for name, errmsg := range map[string]string{
			"plain":             "bad secret " + key + " given",
			"twice":             key + key,
			"in a URL":          "GET https://api.weixin.qq.com/cgi-bin/token?" + query + " failed",
			"in an escaped URL": "GET " + url.QueryEscape("/cgi-bin/token?"+query),
			"path-escaped":      url.PathEscape(key),
			"lower-case escape": strings.ToLower(url.QueryEscape(key)),
			"upper case":        strings.ToUpper(key),
			"as JSON":           `{"secret":` + string(inJSON) + `}`,
			"its beginning":     "secret begins with " + key[:14],
			"its end":           "secret ends with " + key[len(key)-14:],
			"cut by a control":  key[:13] + "\x00" + key[13:],
			"at the bound":      strings.Repeat("x", 505) + key,
			"a URL cut short":   "GET /cgi-bin/token?" + query[:len(query)-3],
		} {
			fake.OnRequest(func(wechattest.Request) wechattest.Answer {
				return wechattest.Answer{Errcode: 40125, Errmsg: errmsg + " rid: 65f0a1b2-1a2b3c4d-5e6f7a8b"}
			})
			e := failure(t.Context(), t, c, wechat.Request{API: wechat.Token, AppID: appID, Secret: key})
			assertShowsNothing(t, e)
			assert.Contains(t, e.Message, "rid: 65f0a1b2-1a2b3c4d-5e6f7a8b", name)
			assert.LessOrEqual(t, len(e.Message), 512, name)
		}
	}
}

// Any long run in an errmsg is replaced, also one that this request does not have. Ids of
// requests, addresses and WeChat's links stay, and so do the words of new messages.
func TestRedaction_LongRuns(t *testing.T) {
	fake, base := newFake(t)
	c := newClient(t, nil, base)
	const run, hex = "A1b_%&;#\\+/=-A1b_%&;#\\+/=-", "5f4dcc3b5aa765d61d8327deb882cf99"
	token := "90_" + strings.Repeat("Zq9-_", 30)
	for errmsg, want := range map[string]string{
		"token " + run[:24] + " end":         "token [redacted] end",
		"token " + run[:23] + " end":         "token " + run[:23] + " end",
		"not latest: " + token:               "not latest: [redacted]",
		"x" + token + "," + hex + ".":        "[redacted],[redacted].",
		`{\u0035\u0066\u0034\u0064}`:         "{[redacted]}",
		"&#53;&#102;&#52;&#100;&#99;&#99;":   "[redacted]",
		"rid: " + token:                      "[redacted]",
		"req_id: " + token:                   "[redacted]",
		"rid: " + hex:                        "[redacted]",
		"req_id: " + hex:                     "[redacted]",
		"http://mmbizurl.cn/" + token + " x": "http://[redacted] x",
	} {
		fake.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Errcode: 40013, Errmsg: errmsg} })
		assert.Equal(t, want, failure(t.Context(), t, c, request(wechat.Token)).Message)
	}
	for _, errmsg := range []string{
		"invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 65f0a1b2-1a2b3c4d-5e6f7a8b",
		"invalid ip 2001:db8:1111:2222:3333:4444:5555:6666, not in whitelist",
		"hints: [ req_id: CANvPA0466th31-aBcdEfgh0123 ]",
		"see https://mmbizurl.cn/s/JtxxFh33rAbCdEfGhIjKlMnOp1 please",
		"invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken",
		"账号已被冻结，请在管理后台解冻",
	} {
		fake.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Errcode: 40013, Errmsg: errmsg} })
		assert.Equal(t, errmsg, failure(t.Context(), t, c, request(wechat.Token)).Message)
	}
}

// An errmsg that repeats a token is redacted.
func TestRedaction_ErrmsgWithToken(t *testing.T) {
	fake, base := newFake(t)
	fake.OnRequest(func(wechattest.Request) wechattest.Answer {
		return raw(200, `{"errcode":-1,"errmsg":"canarytoken-1234 access_token=canarytoken-other","access_token":"canarytoken-1234"}`)
	})
	assertShowsNothing(t, failure(t.Context(), t, newClient(t, nil, base), request(wechat.Token)))
}

// Messages are bounded and printable.
func TestRedaction_BoundedAndPrintable(t *testing.T) {
	fake, base := newFake(t)
	c := newClient(t, nil, base)
	for _, errmsg := range []string{
		strings.Repeat("忙", 4000) + " rid: 65f0a1b2-1a2b3c4d-5e6f7a8b",
		"a\x1b[31mb\r\nc\u202ed\u2028e rid: 65f0a1b2-1a2b3c4d-5e6f7a8b",
		strings.Repeat("x", 60<<10) + " rid: 65f0a1b2-1a2b3c4d-5e6f7a8b",
	} {
		fake.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Errcode: -1, Errmsg: errmsg} })
		e := failure(t.Context(), t, c, request(wechat.Token))
		assert.LessOrEqual(t, len(e.Message), 512)
		assert.True(t, strings.HasSuffix(e.Message, "rid: 65f0a1b2-1a2b3c4d-5e6f7a8b"))
		assert.Equal(t, -1, strings.IndexFunc(e.Message, func(c rune) bool { return !unicode.IsPrint(c) }))
	}
}

// An answer that is not HTTP is not quoted.
func TestRedaction_AnswerIsNoHTTP(t *testing.T) {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, `{"access_token":"canarytoken-without-http","expires_in":7200}`+"\r\n\r\n")
		_ = conn.Close()
	}()
	e := failure(t.Context(), t, newClient(t, nil, "http://"+listener.Addr().String()), request(wechat.Token))
	assert.True(t, e.MayHaveIssued)
	assertShowsNothing(t, e)
}

// An error of the transport that quotes the URL is not quoted.
func TestRedaction_TransportQuotesTheURL(t *testing.T) {
	quoting := roundTripper(func(r *http.Request) (*http.Response, error) {
		httptrace.ContextClientTrace(r.Context()).GetConn("x")
		return nil, fmt.Errorf("outer: %w", &url.Error{Op: "Get", URL: r.URL.String(), Err: &url.Error{
			Op: "Get", URL: r.URL.String(), Err: fmt.Errorf("no way to %s over http://user:open-sesame@proxy", r.URL),
		}})
	})
	e := failure(t.Context(), t, newClient(t, quoting, "https://wechat.test"),
		wechat.Request{API: wechat.Token, AppID: appID, Secret: oddSecret})
	assert.False(t, e.MayHaveIssued)
	assert.Contains(t, e.Message, "wechat.test: no way to")
	assert.NotContains(t, e.Message, "open-sesame", "a proxy's password")
	assertShowsNothing(t, e)
}

// Requests and credentials show no secret, however they are printed.
func TestRedaction_Printing(t *testing.T) {
	r := request(wechat.StableToken)
	r.Force = true
	for _, v := range []any{
		r, &r,
		[]wechat.Request{r},
		struct{ R wechat.Request }{r},
		wechat.Credential{Value: "canarytoken", ExpiresIn: time.Hour},
		[]wechat.Credential{{Value: "canarytoken"}},
	} {
		assertShowsNothing(t, v)
	}
	assert.Equal(t, "stable_token of "+appID+" with force_refresh", r.String())
	assert.Equal(t, "token of "+appID, request(wechat.Token).String())
}

// quoted returns a string as JSON.
func quoted(t *testing.T, s string) string {
	t.Helper()
	text := must(json.Marshal(s))(t)
	return string(text)
}
