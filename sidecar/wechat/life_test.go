package wechat_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// A little life left is a success, except for a new token of the classic API.
func TestFetch_LittleLifeLeft(t *testing.T) {
	const held, other = "90_canarytoken-held-held", "90_canarytoken-other"
	for _, c := range []struct {
		api       wechat.API
		value     string
		expiresIn string
		want      time.Duration // 0: a failed answer
	}{
		{wechat.Token, other, "10", 10 * time.Second},
		{wechat.Token, other, "9", 0},
		{wechat.Token, held, "9", 9 * time.Second},
		{wechat.Token, held, "0", 0},
		{wechat.StableToken, other, "9", 9 * time.Second},
		{wechat.StableToken, held, "1.9", time.Second},
		{wechat.StableToken, held, "0.9", 0},
		{wechat.JSAPI, other, "3", 3 * time.Second},
		{wechat.JSAPI, other, "0", 0},
		{wechat.JSAPI, held, "0", time.Second},
		{wechat.JSAPI, held, "-1", 0},
		{wechat.WXCard, held, "7", 7 * time.Second},
	} {
		fake, url := newFake(t)
		body := fmt.Sprintf(`{"access_token":%q,"ticket":%q,"expires_in":%s}`, c.value, c.value, c.expiresIn)
		fake.OnRequest(func(wechattest.Request) wechattest.Answer { return raw(200, body) })
		r := request(c.api)
		r.Token, r.Held = "90_canarytoken-0123456789", held
		got, err := newClient(t, nil, url).Fetch(t.Context(), r)
		assert.Equal(t, c.want, got.ExpiresIn, "%s, %s", c.api, body)
		if c.want == 0 {
			var e *wechat.Error
			require.ErrorAs(t, err, &e)
			assert.True(t, e.MayHaveIssued)
			assertShowsNothing(t, e)
		}
		assertShowsNothing(t, r)
	}
}
