package wechat_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// raw is an answer with this status and body.
func raw(status int, body string) wechattest.Answer {
	return wechattest.Answer{Kind: wechattest.Raw, Status: status, Body: body}
}

// After a broken answer, WeChat may have issued a token.
func TestFetch_BrokenAnswerMayHaveIssued(t *testing.T) {
	const token = `"access_token":"canarytoken-of-this-table"`
	for name, answer := range map[string]wechattest.Answer{
		"hang":                    {Kind: wechattest.Hang},
		"issued, hang":            {Kind: wechattest.IssuedHang},
		"too slow":                {Delay: time.Minute},
		"issued, answer too slow": {DelayAfter: time.Minute},
		"reset":                   {Kind: wechattest.Reset},
		"issued, reset":           {Kind: wechattest.IssuedNoAnswer},
		"502":                     {Kind: wechattest.ServerError},
		"issued, 502":             {Kind: wechattest.IssuedServerError},
		"a web page":              {Kind: wechattest.HTML},
		"a redirect":              {Kind: wechattest.Redirect},
		"an endless body":         {Kind: wechattest.Huge},
		"an empty token":          {Kind: wechattest.EmptyToken},
		"half an answer":          {Kind: wechattest.TruncatedJSON},
		"no expires_in":           {Kind: wechattest.NoExpires},
		"expires_in 0":            {Kind: wechattest.ZeroExpires},
		"expires_in 9":            {Kind: wechattest.ShortExpires},
		"expires_in 9.99":         raw(200, `{`+token+`,"expires_in":9.99}`),
		"expires_in -1":           raw(200, `{`+token+`,"expires_in":-1}`),
		"expires_in -1e999":       raw(200, `{`+token+`,"expires_in":-1e999}`),
		"expires_in a text":       raw(200, `{`+token+`,"expires_in":"7200 s"}`),
		"expires_in hexadecimal":  raw(200, `{`+token+`,"expires_in":"0x1c20"}`),
		"expires_in NaN":          raw(200, `{`+token+`,"expires_in":"NaN"}`),
		"expires_in empty":        raw(200, `{`+token+`,"expires_in":""}`),
		"expires_in null":         raw(200, `{`+token+`,"expires_in":null}`),
		"no body":                 raw(200, ``),
		"null":                    raw(200, `null`),
		"a list":                  raw(200, `[{`+token+`,"expires_in":7200}]`),
		"two objects":             raw(200, `{`+token+`,"expires_in":7200}{}`),
		"no token":                raw(200, `{"expires_in":7200}`),
		"a token that is a number": raw(200,
			`{"access_token":12345,"expires_in":7200}`),
		"a token with a space":        raw(200, `{"access_token":"canarytoken x","expires_in":7200}`),
		"a token with a newline":      raw(200, `{"access_token":"canarytoken\n","expires_in":7200}`),
		"a token with a wide space":   raw(200, `{"access_token":"canarytoken\u2003","expires_in":7200}`),
		"a token in full-width":       raw(200, `{"access_token":"\uff43anarytoken","expires_in":7200}`),
		"a token with DEL":            raw(200, `{"access_token":"canarytoken\u007f","expires_in":7200}`),
		"a token that is no UTF-8":    raw(200, "{\"access_token\":\"canarytoken\xff\",\"expires_in\":7200}"),
		"a token of 2,049 bytes":      raw(200, `{"access_token":"`+strings.Repeat("a", 2049)+`","expires_in":7200}`),
		"other letters' case":         raw(200, `{"Access_Token":"canarytoken","expires_in":7200}`),
		"errcode a text":              raw(200, `{"errcode":"ok",`+token+`,"expires_in":7200}`),
		"errcode with a fraction":     raw(200, `{"errcode":0.5,`+token+`,"expires_in":7200}`),
		"a token with GBK":            raw(200, "{\"access_token\":\"canarytoken\xc0\\\",\"expires_in\":7200}"),
		"a token with a control":      raw(200, "{\"access_token\":\"canarytoken\x01\",\"expires_in\":7200}"),
		"a broken gzip":               raw(200, "\x1f\x8bcanarytoken"),
		"a gzip cut short":            raw(200, packed(t, `{`+token+`,"expires_in":7200}`)[:40]),
		"a gzip of 100 MB":            raw(200, packed(t, strings.Repeat(" ", 100<<20))),
		"a gzip of a gzip":            raw(200, packed(t, packed(t, `{`+token+`,"expires_in":7200}`))),
		"errcode null":                raw(200, `{"errcode":null,`+token+`,"expires_in":7200}`),
		"errcode beyond every number": raw(200, `{"errcode":99999999999999999999}`),
		"201 with a token":            raw(201, `{`+token+`,"expires_in":7200}`),
		"404":                         raw(404, `{}`),
		"503 with an HTML page":       raw(503, `<html>busy</html>`),
		"307 with an errcode":         raw(307, `{"errcode":40013,"errmsg":"invalid appid"}`),
		"more than 64 KiB":            raw(200, `{`+token+`,"expires_in":7200}`+strings.Repeat(" ", 64<<10)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake, c := newPiped(t)
				fake.OnRequest(func(wechattest.Request) wechattest.Answer { return answer })
				start := time.Now()
				e := failure(t.Context(), t, c, request(wechat.Token))
				assert.True(t, e.MayHaveIssued)
				assert.Equal(t, -1, e.Code)
				assert.Equal(t, wechat.Transient, e.Class)
				assert.LessOrEqual(t, time.Since(start), 2*time.Second)
				assert.Equal(t, 1, fake.Requests("", ""), "it was sent once")
				assertShowsNothing(t, e)
			})
		})
	}
}

// Unusual but correct answers are accepted.
func TestFetch_UnusualAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		life time.Duration
	}{
		"errcode 0 and more fields":   {`{"errcode":0,"errmsg":"ok","access_token":"canarytoken","expires_in":7200,"new":{"a":[1]}}`, 7200 * time.Second},
		"the shortest life":           {`{"access_token":"canarytoken","expires_in":10}`, 10 * time.Second},
		"an exponent":                 {`{"access_token":"canarytoken","expires_in":7.2e3}`, 7200 * time.Second},
		"a fraction":                  {`{"access_token":"canarytoken","expires_in":7199.9}`, 7199 * time.Second},
		"a life beyond 24 h":          {`{"access_token":"canarytoken","expires_in":31536000}`, 24 * time.Hour},
		"a life beyond every number":  {`{"access_token":"canarytoken","expires_in":1e999}`, 24 * time.Hour},
		"expires_in a string":         {`{"access_token":"canarytoken","expires_in":"7200"}`, 7200 * time.Second},
		"expires_in a float string":   {`{"access_token":"canarytoken","expires_in":" 7199.9 "}`, 7199 * time.Second},
		"errcode a string":            {`{"errcode":"0","access_token":"canarytoken","expires_in":7200}`, 7200 * time.Second},
		"errcode a float":             {`{"errcode":0.0,"access_token":"canarytoken","expires_in":7200.0}`, 7200 * time.Second},
		"a byte order mark":           {"\xef\xbb\xbf" + `{"access_token":"canarytoken","expires_in":7200}`, 7200 * time.Second},
		"gzip":                        {packed(t, `{"access_token":"canarytoken","expires_in":7200}`), 7200 * time.Second},
		"gzip with a byte order mark": {packed(t, "\xef\xbb\xbf"+`{"access_token":"canarytoken","expires_in":7200}`), 7200 * time.Second},
		"NUL at the end":              {`{"access_token":"canarytoken","expires_in":7200}` + "\x00\x00\n", 7200 * time.Second},
		"white space":                 {" {\n\"access_token\" : \"canarytoken\" ,\t\"expires_in\" : 7200 }\n", 7200 * time.Second},
		"the longest token":           {`{"access_token":"` + strings.Repeat("a", 2048) + `","expires_in":7200}`, 7200 * time.Second},
		"a token of one character":    {`{"access_token":"{","expires_in":7200}`, 7200 * time.Second},
		"a token like an AppSecret":   {`{"access_token":"` + strings.Repeat("a", 32) + `","expires_in":7200}`, 7200 * time.Second},
		"exactly 64 KiB of an answer": {pad(`{"access_token":"canarytoken","expires_in":7200}`, 64<<10), 7200 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake, c := newPiped(t)
				fake.OnRequest(func(wechattest.Request) wechattest.Answer { return raw(200, tt.body) })
				cred := must(c.Fetch(t.Context(), request(wechat.Token)))(t)
				assert.Equal(t, tt.life, cred.ExpiresIn)
			})
		})
	}
}

// packed returns text as gzip.
func packed(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_ = must(w.Write([]byte(text)))(t)
	require.NoError(t, w.Close())
	return out.String()
}

// An empty 200 is called empty, and AppID and AppSecret are named as its causes.
func TestFetch_EmptyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, c := newPiped(t)
		for _, body := range []string{"", "\n", "\x00", "\xef\xbb\xbf", packed(t, "")} {
			fake.OnRequest(func(wechattest.Request) wechattest.Answer { return raw(200, body) })
			e := failure(t.Context(), t, c, request(wechat.Token))
			assert.Contains(t, e.Message, "HTTP 200 with an empty body")
			assert.Equal(t, hint.Empty, e.Hint)
			assert.True(t, e.MayHaveIssued)
		}
	})
	assert.Contains(t, hint.Empty.English, "AppID and AppSecret")
}

// An errcode is a refusal, whatever else the answer contains.
func TestFetch_ErrcodeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, c := newPiped(t)
		for _, answer := range []wechattest.Answer{
			raw(200, `{"errcode":40013,"errmsg":"invalid appid","access_token":"canarytoken","expires_in":7200}`),
			raw(403, `{"errcode":40013,"errmsg":"invalid appid"}`),
			raw(200, `{"errcode":40013}`),
			raw(200, `{"errcode":40013,"errmsg":17}`),
			raw(200, `{"errcode":"40013"}`),
			raw(200, `{"errcode":40013.0}`),
			raw(200, `{"errcode":" 40013.0 "}`),
			raw(200, `{"errcode":4.0013e4}`),
			raw(200, "\xef\xbb\xbf"+`{"errcode":40013}`),
			raw(200, packed(t, `{"errcode":40013}`)),
			raw(502, packed(t, `{"errcode":40013}`)),
			raw(200, "{\"errcode\":40013,\"errmsg\":\"\xce\xde\xd0\xa7\x84\\\"}"), // GBK, whose last byte is a backslash
			raw(200, "{\"errcode\":40013,\"errmsg\":\"a\tb\x01\x7f\"}\x00"),
		} {
			fake.OnRequest(func(wechattest.Request) wechattest.Answer { return answer })
			e := failure(t.Context(), t, c, request(wechat.Token))
			assert.Equal(t, 40013, e.Code)
			assert.False(t, e.MayHaveIssued)
		}
	})
}

// The context ends a request.
func TestFetch_ContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, c := newPiped(t)
		ctx, cancel := context.WithCancel(t.Context())
		fake.OnRequest(func(wechattest.Request) wechattest.Answer {
			cancel()
			return wechattest.Answer{Kind: wechattest.Hang}
		})
		e := failure(ctx, t, c, request(wechat.Token))
		require.ErrorIs(t, e, context.Canceled)
		assert.True(t, e.MayHaveIssued, "it was cancelled after sending")

		e = failure(ctx, t, c, request(wechat.Token))
		require.ErrorIs(t, e, context.Canceled)
		assert.False(t, e.MayHaveIssued, "it was cancelled before sending")
		assert.Equal(t, 1, fake.Requests("", ""))
	})
}

// A transport that does not trace may have sent the request.
func TestFetch_TransportWithoutTrace(t *testing.T) {
	transport := roundTripper(func(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed })
	e := failure(t.Context(), t, newClient(t, transport, "https://a.test", "https://b.test"), request(wechat.Token))
	assert.True(t, e.MayHaveIssued)
	assert.NotContains(t, e.Message, "b.test", "no second host is tried")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newPiped returns a fake and its client for a synctest bubble.
func newPiped(t *testing.T) (*wechattest.Server, *wechat.Client) {
	t.Helper()
	fake := wechattest.New()
	fake.AddAccount(appID, secret)
	transport, stop := fake.Pipe()
	t.Cleanup(stop)
	return fake, newClient(t, transport, "http://127.0.0.1")
}

func pad(s string, n int) string { return s + strings.Repeat(" ", n-len(s)) }

// After an answer with an errcode nothing was issued, whatever the HTTP status.
func TestFetch_ServerErrorWithErrcodeIssuedNothing(t *testing.T) {
	for code, body := range map[int]string{-1: `{"errcode":-1,"errmsg":"system error"}`, 40013: `{"errcode":40013,"errmsg":"invalid appid"}`} {
		synctest.Test(t, func(t *testing.T) {
			fake, c := newPiped(t)
			fake.OnRequest(func(wechattest.Request) wechattest.Answer { return raw(503, body) })
			e := failure(t.Context(), t, c, request(wechat.Token))
			assert.False(t, e.MayHaveIssued)
			assert.Equal(t, code, e.Code)
		})
	}
}
