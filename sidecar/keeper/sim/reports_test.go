package sim

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// A report is never answered with an older token.
func TestReport_NeverAnOlderToken(t *testing.T) {
	t.Parallel()
	simulate(t, 21, wechat.Token, 2, 0, func(ctx context.Context, w *world) {
		first, end := w.tokenBeforeTrouble(ctx)
		defer end()
		w.invalidate()
		second, err := w.pods[0].client.Refresh(ctx, first)
		require.NoError(t, err)
		w.invalidate()
		// The other sidecar has not polled since and remembers the first.
		third, err := w.pods[1].client.Refresh(ctx, second)
		older := err == nil && (third == first || w.wechat.Accepts(third) != 0)
		assert.False(t, older)
	})
}

// A refused report keeps no token out of memcached.
func TestReport_RefusedLeavesTheEntry(t *testing.T) {
	t.Parallel()
	simulate(t, 22, wechat.Token, 2, 0, func(ctx context.Context, w *world) {
		sleep(ctx, 10*time.Minute)
		end, endMemcached := w.judge.begin(externalTrouble), w.judge.begin(memcachedTrouble)
		defer end()
		defer endMemcached()
		first, err := w.pods[0].client.AccessToken(ctx)
		require.NoError(t, err)
		second, err := w.pods[0].client.Refresh(ctx, first)
		require.NoError(t, err)
		sleep(ctx, pollBound)
		for _, p := range w.pods {
			_, err := p.client.Refresh(ctx, second)
			require.Error(t, err, "it comes too soon")
		}
		w.memcached.Restart()
		sleep(ctx, pollBound)
		_, ok := w.memcached.Peek(appID)
		assert.True(t, ok, "the entry is back")
		_, ok = w.memcached.Peek(appID + ":record")
		assert.True(t, ok, "the record is back")
	})
}

// The renewal for a report is tried again until it succeeds.
func TestReport_RenewalIsRetried(t *testing.T) {
	t.Parallel()
	simulate(t, 23, wechat.Token, 2, 0, func(ctx context.Context, w *world) {
		sleep(ctx, 10*time.Minute)
		end, endWeChat := w.judge.begin(externalTrouble), w.judge.begin(wechatTrouble)
		defer end()
		defer endWeChat()
		first, err := w.pods[0].client.AccessToken(ctx)
		require.NoError(t, err)
		w.invalidate()
		w.failing.Store(-1)
		_, err = w.pods[0].client.Refresh(ctx, first)
		require.Error(t, err)
		w.failing.Store(0)
		sleep(ctx, 5*time.Second)
		for _, p := range w.pods {
			token, err := p.client.AccessToken(ctx)
			require.NoError(t, err)
			assert.Zero(t, w.wechat.Accepts(token))
		}
	})
}

// A record that cannot be one counts as missing.
func TestRecord_AbsurdCountsAsNone(t *testing.T) {
	t.Parallel()
	simulate(t, 24, wechat.Token, 2, 0, func(ctx context.Context, w *world) {
		sleep(ctx, 10*time.Minute)
		end := w.judge.begin(memcachedTrouble)
		defer end()
		w.memcached.Put(appID+":record", `{"token":"","number":4503599627370496}`, 0, 3600)
		sleep(ctx, 20*time.Second)
		token, err := w.pods[0].client.AccessToken(ctx)
		require.NoError(t, err)
		w.judge.falselyReported(token)
		_, err = w.pods[0].client.Refresh(ctx, token)
		require.NoError(t, err)
		sleep(ctx, 5*time.Minute)
		var held []string
		for _, p := range w.pods {
			grant, err := p.process.group.Token(ctx, appID, memcache.AccessToken)
			require.NoError(t, err)
			held = append(held, grant.Value)
		}
		same := held[0] == held[1] && held[0] != token
		assert.True(t, same, "all hold the new token")
	})
}

// A lease or cooldown that was written by hand does not stop the fleet.
func TestLease_WrittenByHand(t *testing.T) {
	for _, lease := range []string{"me", `{"cooldown":"person","errcode":40164,"until":1}`} {
		t.Run(lease[:2], func(t *testing.T) {
			t.Parallel()
			w := simulate(t, 25, wechat.Token, 2, 4, func(ctx context.Context, w *world) {
				sleep(ctx, 10*time.Minute)
				w.judge.leaseIsTaken()
				w.memcached.Put(appID+":lease", lease, 0, 0)
				sleep(ctx, 3*time.Hour)
			})
			assert.GreaterOrEqual(t, w.wechat.Requests("", ""), 3)
			assert.Zero(t, w.judge.invalid)
			assert.Zero(t, w.judge.failures)
			assert.Contains(t, w.logs.String(), "overlong lease taken over")
		})
	}
}

// Today counts requests with force_refresh, in every sidecar.
func TestToday_CountsForceRefreshes(t *testing.T) {
	t.Parallel()
	simulate(t, 26, wechat.StableToken, 2, 0, func(ctx context.Context, w *world) {
		token, end := w.tokenBeforeTrouble(ctx)
		defer end()
		w.judge.falselyReported(token)
		_, err := w.pods[0].client.Refresh(ctx, token)
		require.NoError(t, err)
		sleep(ctx, pollBound)
		for _, p := range w.pods {
			assert.Equal(t, memcache.Day{Date: 20000101, Requests: 3, Renewals: 2, ForceRefreshes: 1}, p.process.group.States()[0].Today, p.name)
		}
	})
}

// An app whose request WeChat refuses with every token reports each of them, to every
// sidecar. All of that costs one renewal, and the checks are no renewals.
func TestReport_MistakenCostsOneRenewal(t *testing.T) {
	t.Parallel()
	for _, api := range []wechat.API{wechat.Token, wechat.StableToken} {
		w := simulate(t, 27, api, 5, 20, func(ctx context.Context, w *world) {
			sleep(ctx, 10*time.Minute)
			mistakenReports(ctx, w, time.Now().Add(40*time.Minute))
		})
		assert.Equal(t, 2, w.wechat.Issues(""), "%s: the first, and that of the first report", api)
		assert.Greater(t, w.wechat.Checks(), 20, api)
		assert.Zero(t, w.judge.invalid, api)
		assert.Zero(t, w.judge.failures, api)
	}
}
