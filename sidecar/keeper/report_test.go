package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// ofOne is a sidecar with the account wx1, whose tokens come from this API.
func (h *fixture) ofOne(api wechat.API) {
	h.config.API = api
	h.group = h.another()
	require.NoError(h.t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
}

// report reports a token of wx1 to one sidecar.
func report(ctx context.Context, group *keeper.Group, token string) (string, *keeper.Error) {
	grant, err := group.Refresh(ctx, "wx1", memcache.AccessToken, token)
	var refused *keeper.Error
	errors.As(err, &refused)
	return grant.Value, refused
}

// token returns the token of wx1 that a sidecar gives.
func (h *fixture) token() string {
	grant, err := h.group.Token(h.t.Context(), "wx1", memcache.AccessToken)
	require.NoError(h.t, err)
	return grant.Value
}

// A force_refresh that WeChat refuses is logged with its errcode, and nothing is logged as
// renewed. After the limit of a minute the next report can use force_refresh.
func TestForceRefresh_Refused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer wechattest.Answer
		logged int
		again  bool // the next report brings another token
	}{
		{"the limit of a minute", wechattest.Answer{Errcode: 45011}, 45011, true},
		{"the limit of a day", wechattest.Answer{Errcode: 45009}, 45009, false},
		{"busy", wechattest.Answer{Errcode: -1}, -1, false},
		{"no answer", wechattest.Answer{Kind: wechattest.Hang}, -1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(h *fixture) {
				t := h.t
				h.ofOne(wechat.StableToken)
				first := h.token()
				time.Sleep(time.Minute)
				h.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
					if r.Force {
						return c.answer
					}
					return wechattest.Answer{}
				})
				_, refused := report(t.Context(), h.group, first)
				require.NotNil(t, refused)
				assert.Equal(t, 429, refused.Code)
				logs := h.logs.String()
				assert.Equal(t, 1, strings.Count(logs, "token renewed"), "the first token alone")
				assert.Equal(t, 1, strings.Count(logs, "force_refresh failed"))
				assert.Contains(t, logs, fmt.Sprintf(`"errcode":%d`, c.logged))
				assert.Equal(t, 1, int(h.group.States()[0].Counts.Failed[fmt.Sprint(c.logged)]))

				h.wechat.OnRequest(nil)
				time.Sleep(11 * time.Minute)
				second, _ := report(t.Context(), h.group, first)
				got := second != "" && second != first
				assert.Equal(t, c.again, got, "the next report brings another token")
			})
		})
	}
}
