package wechat_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Quota returns WeChat's count of the requests to an API, and issues nothing.
func TestQuota_OfAnAPI(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	token := must(c.Fetch(t.Context(), request(wechat.Token)))(t).Value
	fake.FetchExternally(appID)
	require.NoError(t, c.Verify(t.Context(), appID, secret))
	assert.Equal(t, wechat.Quota{Used: 2, Limit: 2000}, must(c.Quota(t.Context(), appID, token, wechat.Token))(t))
	assert.Equal(t, wechat.Quota{Used: 1, Limit: 500_000}, must(c.Quota(t.Context(), appID, token, wechat.StableToken))(t))
	assert.Equal(t, 1, fake.Requests("", ""))

	fake.FetchExternally(appID)
	_, err := c.Quota(t.Context(), appID, token, wechat.Token)
	var e *wechat.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, wechat.Refused, e.Class)
	assertShowsNothing(t, err)
}

// An answer without a count that makes sense has none.
func TestQuota_NoCount(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	token := must(c.Fetch(t.Context(), request(wechat.Token)))(t).Value
	for body, want := range map[string]wechat.Quota{
		`{"errcode":0,"errmsg":"ok","quota":{"daily_limit":0,"used":0,"remain":0}}`: {},
		`{"errcode":0}`:                                             {},
		`{"errcode":0,"quota":[]}`:                                  {},
		`{"errcode":0,"quota":null}`:                                {},
		`{"errcode":0,"quota":{"daily_limit":-1,"used":1}}`:         {},
		`{"errcode":0,"quota":{"daily_limit":2000,"used":-1}}`:      {},
		`{"errcode":0,"quota":{"daily_limit":1e300,"used":1e300}}`:  {},
		`{"errcode":0,"quota":{"daily_limit":2000}}`:                {},
		`{"errcode":"0","quota":{"daily_limit":"2000","used":"7"}}`: {Used: 7, Limit: 2000},
	} {
		fake.OnCheck(func(int) wechattest.Answer { return raw(200, body) })
		assert.Equal(t, want, must(c.Quota(t.Context(), appID, token, wechat.Token))(t), body)
	}
	fake.OnCheck(func(int) wechattest.Answer { return raw(200, `{"quota":{"daily_limit":2000,"used":7}}`) })
	_, err := c.Quota(t.Context(), appID, token, wechat.Token)
	require.Error(t, err, "no errcode: perhaps another server answered")
}

// ClearQuota resets WeChat's counts with the AppSecret alone.
func TestClearQuota_ResetsTheCounts(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	token := must(c.Fetch(t.Context(), request(wechat.Token)))(t).Value
	for range 10 {
		require.NoError(t, c.ClearQuota(t.Context(), appID, secret))
	}
	assert.Equal(t, wechat.Quota{Limit: 2000}, must(c.Quota(t.Context(), appID, token, wechat.Token))(t))
	for code, try := range map[int][2]string{48006: {appID, secret}, 40125: {appID, "canarysecret-wrong"}, 40013: {"wxunknown", secret}} {
		var e *wechat.Error
		require.ErrorAs(t, c.ClearQuota(t.Context(), try[0], try[1]), &e)
		assert.Equal(t, code, e.Code)
		assertShowsNothing(t, e)
	}
	require.Error(t, c.ClearQuota(t.Context(), appID, ""))
	assert.Equal(t, 10, fake.Clears(appID))
	assert.Equal(t, 1, fake.Requests("", ""), "it requests no token")
}
