package wechat_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Check tells whether WeChat accepts a token, and issues nothing.
func TestCheck_AcceptedAndRefused(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	first := must(c.Fetch(t.Context(), request(wechat.Token)))(t).Value
	require.NoError(t, c.Check(t.Context(), appID, first))
	fake.FetchExternally(appID)
	require.NoError(t, c.Check(t.Context(), appID, first), "in its grace period")
	fake.FetchExternally(appID)
	var e *wechat.Error
	require.ErrorAs(t, c.Check(t.Context(), appID, first), &e)
	assert.Equal(t, 40001, e.Code)
	assert.Equal(t, wechat.Refused, e.Class)
	assert.Equal(t, 3, fake.Checks())
	assert.Equal(t, 1, fake.Requests("", ""), "a check is no request for a token")
	assert.Equal(t, 1, fake.Issues(appID))
}

// Only the errcode 0 says that WeChat accepts a token.
func TestCheck_AnythingElseIsAnError(t *testing.T) {
	for name, answer := range map[string]wechattest.Answer{
		"another errcode": {Errcode: 48001},
		"no errcode":      raw(200, `{"quota":{"daily_limit":2000}}`),
		"an empty object": raw(200, `{}`),
		"no JSON":         {Kind: wechattest.HTML},
		"HTTP 502":        {Kind: wechattest.ServerError},
		"HTTP 500":        raw(500, `{"errcode":0}`),
		"a redirect":      {Kind: wechattest.Redirect},
		"a reset":         {Kind: wechattest.Reset},
	} {
		t.Run(name, func(t *testing.T) {
			fake, url := newFake(t)
			c := newClient(t, nil, url)
			token := must(c.Fetch(t.Context(), request(wechat.Token)))(t).Value
			fake.OnCheck(func(int) wechattest.Answer { return answer })
			err := c.Check(t.Context(), appID, token)
			require.Error(t, err)
			assertShowsNothing(t, err)
		})
	}
}

// Check ends with its context, and without a token nothing is sent.
func TestCheck_EndsWithItsContext(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	require.Error(t, c.Check(t.Context(), appID, ""))
	assert.Zero(t, fake.Checks())
	fake.OnCheck(func(int) wechattest.Answer { return wechattest.Answer{Kind: wechattest.Hang} })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, c.Check(ctx, appID, "90_canarytoken-0123456789"), context.DeadlineExceeded)
}
