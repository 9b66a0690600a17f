package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
)

var styleElement = regexp.MustCompile(`(?s)<style>(.*)</style>`)

// pageOf is the page in a language, its style left out.
func pageOf(t *testing.T, language string, states []keeper.State, outage keeper.Outage) string {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Language", language)
	w := httptest.NewRecorder()
	fixedOps(t, states, outage).ServeHTTP(w, r)
	require.Equal(t, 200, w.Code)
	assertWellFormed(t, w.Body.String())
	got := answer{w.Code, w.Header(), styleElement.ReplaceAllString(w.Body.String(), "<style>…</style>")}
	got.header.Set("Content-Security-Policy", regexp.MustCompile(`sha256-[^']+`).ReplaceAllString(got.header.Get("Content-Security-Policy"), "sha256-…"))
	return got.String()
}

// assertWellFormed says that every element is closed, in the right order.
func assertWellFormed(t *testing.T, page string) {
	t.Helper()
	page = regexp.MustCompile(`(<meta [^>]*)>`).ReplaceAllString(strings.TrimPrefix(page, "<!DOCTYPE html>"), "$1/>")
	decoder := xml.NewDecoder(strings.NewReader(page))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestThePageIsAsTheGoldenFilesSay(t *testing.T) {
	for _, language := range []string{"en", "zh"} {
		golden(t, "page."+language, pageOf(t, language, fixedStates(), noOutage)+"\n=== memcached is down, no account\n"+
			pageOf(t, language, nil, outage))
	}
}

func TestThePageLetsNothingRunAndLoadsNothing(t *testing.T) {
	got := probe(fixedOps(t, fixedStates(), outage), "GET", "/")
	style := styleElement.FindStringSubmatch(got.body)
	require.Len(t, style, 2)
	digest := sha256.Sum256([]byte(style[1]))
	policy := got.header.Get("Content-Security-Policy")
	assert.Contains(t, policy, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(digest[:])+"'")
	assert.Contains(t, policy, "frame-ancestors 'none'")
	assert.NotContains(t, policy, "unsafe")
	for _, never := range []string{"<script", " style=", "javascript:", " onerror=\"", "<img", "<link", "src="} {
		assert.NotContains(t, strings.ReplaceAll(got.body, "src=x", ""), never)
	}
	assert.NotContains(t, style[1], "url(")
	assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
	assert.Equal(t, "no-referrer", got.header.Get("Referrer-Policy"))
	assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
	assert.Equal(t, "close", got.header.Get("Connection"))
	assert.Contains(t, got.body, `<meta http-equiv="refresh" content="10">`)
}

func TestWhatStrangersWriteIsTextAndNothingElse(t *testing.T) {
	assert.Equal(t, `<p title="&#34; onclick=&#34;x&#39;&amp;&lt;&gt;">&lt;/p&gt;&lt;b&gt;&amp;amp; a`+"\uFFFDb\uFFFD中文 é\uFFFD</p>\n",
		web.Paragraph("</p><b>&amp; a\u202eb\x1b中文 é\xff", `" onclick="x'&<>`))
}

func TestThePageShowsTheMostUrgentTwoHundredAndCountsTheOthers(t *testing.T) {
	var states []keeper.State
	for i := range 10_000 {
		s := fixedStates()[0]
		if i >= 9_800 {
			s = fixedStates()[1+i%2] // failing or ill
		}
		if i == 9_799 {
			s = fixedStates()[4]
		}
		s.AppID = fmt.Sprintf("wx%05d", i)
		states = append(states, s)
	}
	page := pageOf(t, "en", states, noOutage)
	assert.Equal(t, 200, strings.Count(page, "<article"))
	assert.Less(t, strings.LastIndex(page, `<article class="ill"`), strings.Index(page, `<article class="failing"`))
	assert.NotContains(t, page, `<article class="ok"`)
	assert.Contains(t, page, "<h1>100 of 10000 accounts are ill</h1>")
	assert.Contains(t, page, "9800 more are not shown, 0 of them ill, 0 that cannot be renewed, 1 starting. All are in <a")
	assert.Equal(t, "wx00000", states[0].AppID, "what others read is not sorted anew")
	assert.Contains(t, pageOf(t, "zh", states, noOutage), "另有 9800 个未显示")
}

func TestTheHeadlineSaysHowManyAreIll(t *testing.T) {
	for _, c := range []struct {
		all, ill, failing, starting int
		en, zh                      string
	}{
		{0, 0, 0, 0, "No account is kept", "没有账号"},
		{1, 0, 0, 0, "The account is well", "账号正常"},
		{3, 0, 0, 0, "All 3 accounts are well", "3 个账号全部正常"},
		{1, 1, 0, 0, "The account is ill", "账号异常"},
		{3, 1, 2, 0, "1 of 3 accounts is ill", "3 个账号中有 1 个异常"},
		{3, 2, 0, 1, "2 of 3 accounts are ill", "3 个账号中有 2 个异常"},
		{3, 3, 0, 0, "All 3 accounts are ill", "3 个账号全部异常"},
		{3, 0, 1, 1, "1 of 3 accounts cannot be renewed", "3 个账号中有 1 个续期失败"},
		{3, 0, 0, 3, "All 3 accounts are starting", "3 个账号全部启动中"},
	} {
		assert.Equal(t, [2]string{c.en, c.zh}, web.Headlines(c.all, c.ill, c.failing, c.starting))
	}
}

func TestAnAccountWithTwoCredentialsIsAsIllAsTheWorse(t *testing.T) {
	token, ticket := fixedStates()[0], fixedStates()[2]
	ticket.AppID, ticket.Kind = token.AppID, "jsapi_ticket"
	page := pageOf(t, "en", []keeper.State{token, ticket}, noOutage)
	assert.Contains(t, page, "<h1>The account is ill</h1>")
	assert.Equal(t, 2, strings.Count(page, "<article"))
	ops := fixedOps(t, []keeper.State{token, ticket}, noOutage)
	assert.Equal(t, "1", sample(t, probe(ops, "GET", "/metrics").body, "wxsidecar_accounts"))
	assert.Equal(t, 200, status(ops, "/readyz"), "no other kind than access_token counts")
	assert.True(t, statusOf(t, probe(ops, "GET", "/status.json").body).Ready)
}
