package web_test

import (
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
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

// Each failure without an errcode carries the hint of its cause.
func TestHints_WithoutAnErrcode(t *testing.T) {
	offline := &http.Transport{Dial: func(string, string) (net.Conn, error) { return nil, errors.New("no route") }} //nolint:staticcheck // short
	client, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: offline})
	require.NoError(t, err)
	for api, want := range map[wechat.API]hint.Hint{wechat.Token: hint.Unreached("127.0.0.1"), "?": hint.Fault} {
		_, err = client.Fetch(t.Context(), wechat.Request{API: api, AppID: appID, Secret: secret})
		var e *wechat.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, want, e.Hint)
	}

	synctest.Test(t, func(t *testing.T) {
		reset := func(c wechattest.Call) wechattest.Answer {
			if c.AppID == "wxreset" {
				return wechattest.Answer{Kind: wechattest.Reset}
			}
			return wechattest.Answer{}
		}
		h := newHouse(t, reset, appID, "wxreset")
		synctest.Wait()
		assert.Equal(t, hint.Unanswered, h.group.States()[1].Err.Hint)

		token, err := h.group.Token(t.Context(), appID, memcache.AccessToken)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		token, err = h.group.Refresh(t.Context(), appID, memcache.AccessToken, token.Value)
		require.NoError(t, err)
		_, err = h.group.Refresh(t.Context(), appID, memcache.AccessToken, token.Value)
		var e *keeper.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, hint.ReportOnce, e.Hint)

		require.NoError(t, h.group.SetAccounts([]keeper.Account{{
			AppID: "wxfile", Secret: func() (string, error) { return "", errors.New("no such file") },
		}}))
		synctest.Wait()
		assert.Equal(t, hint.SecretFile, h.group.States()[0].Err.Hint)

		h.keep(t, appID)
		synctest.Wait()
		time.Sleep(h.group.States()[0].RenewalIn - time.Millisecond)
		h.memcached.SetFault(memcachetest.Refuse)
		time.Sleep(time.Second)
		assert.Equal(t, hint.Memcached, h.group.States()[0].Err.Hint)
	})
}
