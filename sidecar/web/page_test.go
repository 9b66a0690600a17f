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

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

var styleElement = regexp.MustCompile(`(?s)<style>(.*)</style>`)

// pageOf is the page in a language, its style left out.
func pageOf(t *testing.T, language string, states []keeper.State, outage keeper.Outage) string {
	t.Helper()
	r := httptest.NewRequest("GET", "http://127.0.0.1:7201/", nil)
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

// The page is the golden file, in both languages.
func TestPage_Golden(t *testing.T) {
	for _, language := range []string{"en", "zh"} {
		golden(t, "page."+language, pageOf(t, language, fixedStates(), noOutage)+"\n=== memcached is down, no account\n"+
			pageOf(t, language, nil, outage))
	}
}

// The page runs and loads nothing.
func TestPage_Policy(t *testing.T) {
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

// After a report that no renewal follows, apps can get errors although the token has not
// expired.
func TestPage_ReportWithoutRenewal(t *testing.T) {
	s := fixedStates()[1]
	failure := *s.Err
	failure.Code, s.Err = 429, &failure
	for language, says := range map[string][2]string{
		"en": {"Apps can get errors: this access_token was reported as refused by WeChat", "#errcodes-in-an-app"},
		"zh": {"程序可能收到错误：有程序上报当前 access_token 被微信拒绝", "#程序遇到的-errcode"},
	} {
		page := pageOf(t, language, []keeper.State{s}, noOutage)
		assert.Contains(t, page, says[0])
		assert.Contains(t, page, says[1])
		assert.NotContains(t, page, "Apps get no errors")
		assert.NotContains(t, page, "程序不受影响")
	}
}

// A failing account says since when it fails, whether apps notice, when the next attempt
// is, and where to read more. The bar has a legend.
func TestPage_FailureSaysWhatItMeans(t *testing.T) {
	states := fixedStates()
	for language, says := range map[string][2][]string{
		"en": {
			{"Failing for 3 min, since 15:01:05 UTC. Apps get no errors: this access_token is valid for another 1 h 2 min.", "next attempt in 42 s", ">next renewal</span>"},
			{"Failing for 2 d 3 h, since 2026-11-21 12:04:05 UTC. Apps get errors instead of this access_token.", "docs/operations.md#errcodes-from-wechat\">Read more</a>"},
		},
		"zh": {
			{"自北京时间 23:01:05 起失败，已持续 3 分钟。程序不受影响：当前 access_token 还有 1 小时 2 分钟有效。", "42 秒后重试", ">下次续期</span>"},
			{"自北京时间 2026-11-21 20:04:05 起失败，已持续 2 天 3 小时。程序取不到 access_token，会收到错误。", "docs/zh/operations.md#微信返回给-sidecar-的-errcode\">查看文档</a>"},
		},
	} {
		for i, s := range states[1:3] {
			page := pageOf(t, language, []keeper.State{s}, noOutage)
			for _, text := range says[i] {
				assert.Contains(t, page, text)
			}
			assert.Equal(t, s.Valid, strings.Contains(page, `class="key"`), "a legend needs a bar")
		}
	}
}

// The query lang chooses the language.
func TestPage_LanguageInTheAddress(t *testing.T) {
	ops := fixedOps(t, fixedStates(), noOutage)
	assert.Contains(t, probe(ops, "GET", "/?lang=zh").body, `<html lang="zh-Hans">`)
	assert.Contains(t, probe(ops, "GET", "/?lang=en").body, `<html lang="en">`)
	assert.Contains(t, probe(ops, "GET", "/?lang=%3Cscript%3E").body, `<html lang="en">`)
}

// The page shows the most urgent 200 credentials, and counts the others.
func TestPage_TwoHundredCredentials(t *testing.T) {
	var states []keeper.State
	for i := range 10_000 {
		s := fixedStates()[0]
		if i >= 9_800 {
			s = fixedStates()[1+i%2] // failing or unavailable
		}
		if i == 9_799 {
			s = fixedStates()[4]
		}
		s.AppID = fmt.Sprintf("wx%05d", i)
		states = append(states, s)
	}
	page := pageOf(t, "en", states, noOutage)
	assert.Equal(t, 200, strings.Count(page, "<article"))
	assert.Less(t, strings.LastIndex(page, `<article class="unavailable"`), strings.Index(page, `<article class="failing"`))
	assert.NotContains(t, page, `<article class="ok"`)
	assert.Contains(t, page, "<h1>100 of 10000 accounts are unavailable</h1>")
	assert.Contains(t, page, "9800 more are not shown: 0 unavailable, 0 failing to renew, 1 starting. All are in <a")
	assert.Equal(t, "wx00000", states[0].AppID, "what others read is not sorted anew")
	assert.Contains(t, pageOf(t, "zh", states, noOutage), "另有 9800 个未显示")
}

// An account is as healthy as its worst credential.
func TestPage_WorstCredentialCounts(t *testing.T) {
	token, ticket := fixedStates()[0], fixedStates()[2]
	ticket.AppID, ticket.Kind = token.AppID, "jsapi_ticket"
	page := pageOf(t, "en", []keeper.State{token, ticket}, noOutage)
	assert.Contains(t, page, "<h1>The account is unavailable</h1>")
	assert.Equal(t, 2, strings.Count(page, "<article"))
	ops := fixedOps(t, []keeper.State{token, ticket}, noOutage)
	assert.Equal(t, "1", sample(t, probe(ops, "GET", "/metrics").body, "wxsidecar_accounts"))
	assert.Equal(t, 200, statusCode(ops, "/readyz"), "no other kind than access_token counts")
	assert.True(t, statusOf(t, probe(ops, "GET", "/status.json").body).Ready)
}

// A memcached that answers polls and refuses writes is a note: of one account, for all.
func TestNotes_MemcachedRefusesWrites(t *testing.T) {
	states := fixedStates()
	states[0].Unstored = fmt.Errorf("cas: %w", memcache.ErrMemory)
	states[1].Unstored = states[0].Unstored
	const note = "memcached answers but the last write for "
	ready := probe(fixedOps(t, states, noOutage), "GET", "/readyz").body
	assert.Contains(t, ready, "note: "+note+states[0].AppID)
	assert.Contains(t, ready, "raise its limit (-m), or let it evict (no -M)")
	assert.Equal(t, 1, strings.Count(ready, note))
	assert.Contains(t, probe(fixedOps(t, states, noOutage), "GET", "/status.json").body, `"code":"memcached_write_failed"`)
	assert.Contains(t, pageOf(t, "zh", states, noOutage), "memcached 有应答，但最近一次为 "+states[0].AppID)
}

// Without an account, /readyz has the notes too: such as a file with a wrong name.
func TestReadyz_NotesWithoutAccount(t *testing.T) {
	ready := probe(fixedOps(t, nil, noOutage), "GET", "/readyz")
	assert.Equal(t, 503, ready.status)
	assert.Regexp(t, `^no accounts configured; .*\nnote: `, ready.body)
}
