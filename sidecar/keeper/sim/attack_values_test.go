package sim

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Somebody writes a doubt that no sidecar could have meant. It costs one renewal
// at most, also after memcached is emptied.
func TestAttack_DoubtOutOfRange(t *testing.T) {
	t.Parallel()
	const due = 3300 * time.Second
	for name, doubt := range map[string]func(now time.Time) int64{
		"in_2100":          func(time.Time) int64 { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).Unix() },
		"in_five_minutes":  func(now time.Time) int64 { return now.Add(5 * time.Minute).Unix() },
		"in_1970":          func(time.Time) int64 { return 1 },
		"beyond_all_dates": func(time.Time) int64 { return 1 << 60 },
		"negative":         func(time.Time) int64 { return -1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lasts := long(4 * time.Hour)
			if name == "in_2100" {
				lasts = long(24 * time.Hour)
			}
			w := attack(t, 401, wechat.Token, 5, 10, func(ctx context.Context, w *world) {
				sleep(ctx, 10*time.Minute)
				assert.True(w.t, w.rewrite(map[string]any{doubtField: doubt(time.Now())}))
				sleep(ctx, lasts/2)
				w.memcached.Flush()
				sleep(ctx, lasts/2-10*time.Minute)
			})
			requests := w.requestsSince(w.start)
			unharmed(t, w)
			assert.LessOrEqual(t, len(requests), 1+int(lasts/due)+1, "the first, one for each renewal, and one")
			assert.LessOrEqual(t, w.farthest(), due+time.Minute, "between two tokens")
			w.t = t
			w.figures("a doubt "+name, requests)
		})
	}
}

// WeChat gives tokens that live for 10 s, for hours. Planned requests too have a
// bound: 10 in any ten minutes, and one.
func TestAttack_TokensLiveTenSeconds(t *testing.T) {
	t.Parallel()
	for _, api := range []wechat.API{wechat.Token, wechat.StableToken} {
		t.Run(string(api), func(t *testing.T) {
			t.Parallel()
			w := attack(t, 402, api, 5, 10, func(ctx context.Context, w *world) {
				w.wechat.SetExpiresIn(10 * time.Second)
				w.wechat.SetGrace(2 * time.Second)
				sleep(ctx, long(3*time.Hour))
				w.wechat.SetExpiresIn(2 * time.Hour)
				w.wechat.SetGrace(5 * time.Minute)
				sleep(ctx, 20*time.Minute)
				token, err := w.pods[0].client.AccessToken(ctx)
				if assert.NoError(w.t, err) {
					assert.Zero(w.t, w.wechat.Accepts(token))
				}
			})
			requests := w.requestsSince(w.start)
			assert.LessOrEqual(t, mostInTenMinutes(requests), 11, "requests in ten minutes")
			w.t = t
			w.figures("expires_in 10, "+string(api), requests)
		})
	}
}

// A field that this version does not know belongs to its token: it is kept as
// long as that, through claims and repairs, and is gone from the next token's record.
func TestAttack_UnknownFieldEndsWithItsToken(t *testing.T) {
	t.Parallel()
	const field = "future_field"
	w := attack(t, 403, wechat.Token, 3, 0, func(ctx context.Context, w *world) {
		sleep(ctx, 10*time.Minute)
		assert.True(w.t, w.rewrite(map[string]any{field: "x", "number": time.Now().UnixMilli()}))
		sleep(ctx, pollBound)
		w.memcached.Evict(recordKey)
		sleep(ctx, pollBound)
		assert.Equal(w.t, `"x"`, w.field(field), "after a repair")
		token := w.field("token")
		restore := w.slowCalls(3 * time.Second)
		assert.NotNil(w.t, w.caller(ctx, time.Now().Add(time.Hour), nil))
		assert.Equal(w.t, token, w.field("token"))
		assert.Equal(w.t, `"x"`, w.field(field), "during the request")
		sleep(ctx, time.Minute)
		restore()
		assert.NotEqual(w.t, token, w.field("token"))
		assert.Empty(w.t, w.field(field), "with the next token")
	})
	w.t = t
	w.figures("an unknown field", w.requestsSince(w.start))
}

// The record is of a newer version, and an external token is in the entry: the newer
// sidecars have 30 s to renew. This one does so after that.
func TestAttack_ExternalTokenOfNewerRecord(t *testing.T) {
	t.Parallel()
	soon, later := 0, 0
	attack(t, 404, wechat.Token, 3, 0, func(ctx context.Context, w *world) {
		sleep(ctx, 10*time.Minute)
		assert.True(w.t, w.rewrite(map[string]any{"v": 2, "number": time.Now().UnixMilli()}))
		sleep(ctx, 2*pollBound)
		from := time.Now()
		w.memcached.Put(appID, w.wechat.FetchExternally(appID), 0, 3600)
		sleep(ctx, 29*time.Second)
		soon = len(w.requestsSince(from))
		sleep(ctx, 2*time.Minute)
		later = len(w.requestsSince(from))
	})
	assert.Zero(t, soon, "requests in the time of the newer sidecars")
	assert.Equal(t, 1, later)
}
