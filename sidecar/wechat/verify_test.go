package wechat_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Verify says whether WeChat accepts an AppSecret, and invalidates nothing.
func TestVerify_AcceptedAndRefused(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	classic := must(c.Fetch(t.Context(), request(wechat.Token)))(t).Value
	stable := must(c.Fetch(t.Context(), request(wechat.StableToken)))(t).Value
	for range 3 {
		require.NoError(t, c.Verify(t.Context(), appID, secret))
	}
	for code, try := range map[int][2]string{40125: {appID, "canarysecret-wrong"}, 40013: {"wxunknown", secret}} {
		var e *wechat.Error
		require.ErrorAs(t, c.Verify(t.Context(), try[0], try[1]), &e)
		assert.Equal(t, code, e.Code)
		assertShowsNothing(t, e)
	}
	fake.OnVerification(func(string, int) wechattest.Answer { return wechattest.Answer{Kind: wechattest.ServerError} })
	assertShowsNothing(t, c.Verify(t.Context(), appID, secret))
	assert.Zero(t, fake.Accepts(classic))
	assert.Zero(t, fake.Accepts(stable))
	assert.Equal(t, 6, fake.Verifications())
	assert.Equal(t, 2, fake.Requests("", ""), "the two that fetched")
	require.Error(t, c.Verify(t.Context(), appID, ""))
	assert.Equal(t, 6, fake.Verifications(), "nothing to verify")
}
