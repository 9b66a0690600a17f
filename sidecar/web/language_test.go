package web_test

import (
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

func TestTheBrowserChoosesTheLanguage(t *testing.T) {
	for header, want := range map[string]string{
		"":                                 "en",
		"*":                                "en",
		"fr":                               "en",
		"zh":                               "zh-Hans",
		"zh-CN":                            "zh-Hans",
		"ZH-hans-cn":                       "zh-Hans",
		"zh-CN,zh;q=0.9,en;q=0.8":          "zh-Hans",
		"en-GB,en;q=0.9,zh-CN;q=0.8":       "en",
		"fr,zh;q=0.5":                      "zh-Hans",
		"en;q=0.5, zh-TW;q=0.7":            "zh-Hans",
		"en ; q=0.5 , zh ; Q = 0.7":        "zh-Hans",
		"zh;q=0":                           "en",
		"zh;q=0,en;q=0.1":                  "en",
		"zh;q=2,en;q=0.1":                  "en",
		"zh;q=NaN,en;q=0.1":                "en",
		"zh;q=,en;q=0.1":                   "en",
		"zhx":                              "en",
		"en,zh":                            "en",
		"zh,en":                            "zh-Hans",
		";;,,;q=;zh":                       "en",
		"zh;level=1;q=0.2,en;level=1;q=.1": "zh-Hans",
	} {
		assert.Equal(t, want, web.Liked(header), "%q", header)
	}
}

func TestTheLanguageCanBeNamedInTheAddress(t *testing.T) {
	ops := fixedOps(t, fixedStates(), noOutage)
	assert.Contains(t, probe(ops, "GET", "/?lang=zh").body, `<html lang="zh-Hans">`)
	assert.Contains(t, probe(ops, "GET", "/?lang=en").body, `<html lang="en">`)
	assert.Contains(t, probe(ops, "GET", "/?lang=%3Cscript%3E").body, `<html lang="en">`)
}

func TestDurationsAreSaidAsPeopleSayThem(t *testing.T) {
	for _, c := range []struct {
		d      time.Duration
		en, zh string
	}{
		{0, "0 s", "0 秒"},
		{499 * time.Millisecond, "0 s", "0 秒"},
		{1500 * time.Millisecond, "2 s", "2 秒"},
		{42 * time.Second, "42 s", "42 秒"},
		{59*time.Second + 600*time.Millisecond, "1 min", "1 分钟"},
		{54*time.Minute + 59*time.Second, "54 min", "54 分钟"},
		{time.Hour, "1 h", "1 小时"},
		{72 * time.Minute, "1 h 12 min", "1 小时 12 分钟"},
		{51*time.Hour + 59*time.Minute, "2 d 3 h", "2 天 3 小时"},
		{48 * time.Hour, "2 d", "2 天"},
		{-90 * time.Second, "1 min", "1 分钟"},
	} {
		assert.Equal(t, c.en, web.Span(c.d))
		assert.Equal(t, c.zh, web.ChineseSpan(c.d))
	}
}

func TestEveryDocumentedErrcodeHasAHintInChinese(t *testing.T) {
	documented := 0
	for code := -100; code < 200_000; code++ {
		if wechat.Documented(code) {
			documented++
			assert.True(t, web.HasChineseHint(code), code)
		}
	}
	assert.Equal(t, documented, web.ChineseHints(), "none for an errcode that does not exist")
	e := &keeper.Error{Code: 40164, Message: wechattest.Errmsg(40164, time.Now())}
	e.Hint = wechat.Hint(e.Code, e.Message)
	assert.Contains(t, web.InChinese(e), "出口 IP "+wechattest.EgressIP+" 加入该账号的 IP 白名单")
	e = &keeper.Error{Code: 98765, Hint: wechat.Hint(98765, "")}
	assert.Equal(t, "请在微信官方文档中查询错误码 98765。", web.InChinese(e))
	e = &keeper.Error{Code: -1, Hint: "what a newer version says"}
	assert.Equal(t, "What a newer version says.", web.InChinese(e), "better than a wrong one")
	assert.Empty(t, web.InChinese(&keeper.Error{Code: -1}))
}

// inChinese says that the hint has a text of its own in Chinese, whatever the errcode.
func inChinese(t *testing.T, e *keeper.Error, part string) {
	t.Helper()
	require.NotEmpty(t, e.Hint)
	text := []rune(web.InChinese(e))
	require.NotEmpty(t, text)
	assert.True(t, unicode.Is(unicode.Han, text[0]), "%q: %q", e.Hint, string(text))
	assert.Contains(t, string(text), part)
}

func TestHintsWithoutAnErrcodeOfWeChatsAreInChineseToo(t *testing.T) {
	offline := &http.Transport{Dial: func(string, string) (net.Conn, error) { return nil, errors.New("no route") }} //nolint:staticcheck // short
	for part, c := range map[string]struct {
		transport http.RoundTripper
		request   wechat.Request
	}{
		"DNS":           {offline, wechat.Request{API: wechat.Token, AppID: appID, Secret: secret}},
		"wxsidecar 的缺陷": {offline, wechat.Request{API: "?", AppID: appID, Secret: secret}},
	} {
		client, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: c.transport})
		require.NoError(t, err)
		_, err = client.Fetch(t.Context(), c.request)
		var e *wechat.Error
		require.ErrorAs(t, err, &e)
		inChinese(t, &keeper.Error{Code: e.Code, Message: e.Message, Hint: e.Hint}, part)
	}
	inChinese(t, &keeper.Error{Code: -7, Hint: wechat.Hint(-7, "")}, "微信内部错误")
	inChinese(t, &keeper.Error{Code: 40001, Hint: keeper.TicketHint}, "获取 token 或 ticket")

	synctest.Test(t, func(t *testing.T) {
		reset := func(c wechattest.Call) wechattest.Answer {
			if c.AppID == "wxreset" {
				return wechattest.Answer{Kind: wechattest.Reset}
			}
			return wechattest.Answer{}
		}
		h := newHouse(t, reset, appID, "wxreset")
		synctest.Wait()
		inChinese(t, h.group.States()[1].Err, "链路")

		token, err := h.group.Token(t.Context(), appID, memcache.AccessToken)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		token, err = h.group.Refresh(t.Context(), appID, memcache.AccessToken, token.Value)
		require.NoError(t, err)
		_, err = h.group.Refresh(t.Context(), appID, memcache.AccessToken, token.Value)
		var e *keeper.Error
		require.ErrorAs(t, err, &e)
		inChinese(t, e, "只需上报一次")

		require.NoError(t, h.group.SetAccounts([]keeper.Account{{
			AppID: "wxfile", Secret: func() (string, error) { return "", errors.New("no such file") },
		}}))
		synctest.Wait()
		inChinese(t, h.group.States()[0].Err, "WECHAT_APPSECRET_FILE")

		h.keep(t, appID)
		synctest.Wait()
		time.Sleep(h.group.States()[0].RenewalIn - time.Millisecond)
		h.memcached.SetFault(memcachetest.Refuse)
		time.Sleep(time.Second)
		inChinese(t, h.group.States()[0].Err, "MEMCACHED_SERVERS")
	})
}
