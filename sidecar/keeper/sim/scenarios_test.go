package sim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// untilDue sleeps until the current token is about to be renewed. Two episodes that wait
// for the same token go on one after the other: which is first must depend on the seed.
func (w *world) untilDue(ctx context.Context) {
	issued := w.wechat.Issued()
	if len(issued) == 0 {
		return
	}
	last := issued[len(issued)-1]
	sleep(ctx, time.Until(last.At.Add(3290*time.Second))+w.seconds(0, 1))
}

// A day without faults costs one request per renewal.
func TestRenewal_OneRequestEach(t *testing.T) {
	t.Parallel()
	day := long(24 * time.Hour)
	w := simulate(t, 1, wechat.Token, 5, 50, func(ctx context.Context, _ *world) { sleep(ctx, day) })
	calls := w.wechat.Requests("", "")
	assert.GreaterOrEqual(t, calls, 1+int(day/(3330*time.Second)), "one call every 3,300 to 3,330 s")
	assert.LessOrEqual(t, calls, 1+int(day/(3300*time.Second)))
	assert.Zero(t, w.judge.invalid)
	assert.Zero(t, w.judge.failures)
	t.Logf("%d calls, %d reads", calls, w.judge.reads)
}

// No reader notices that WeChat is down for an hour at the time of a renewal.
func TestOutage_OfWeChat(t *testing.T) {
	t.Parallel()
	w := simulate(t, 2, wechat.Token, 5, 50, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		end := w.judge.begin(wechatTrouble)
		w.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
			w.judge.received(r)
			return wechattest.Answer{Kind: wechattest.ServerError}
		})
		sleep(ctx, time.Hour)
		w.wechat.OnRequest(w.normalAnswer)
		sleep(ctx, 2*time.Minute)
		end()
		sleep(ctx, 2*time.Hour)
	})
	assert.Zero(t, w.judge.invalid, "reads of invalid tokens")
	assert.Zero(t, w.judge.failures, "reads without a token")
	t.Logf("%d reads, %d calls", w.judge.reads, w.wechat.Requests("", ""))
}

// No reader of a sidecar notices that memcached is down for half an hour.
func TestOutage_OfMemcached(t *testing.T) {
	t.Parallel()
	for _, fault := range []memcachetest.Fault{memcachetest.Refuse, memcachetest.Hang, memcachetest.ServerError} {
		t.Run(fmt.Sprint(fault), func(t *testing.T) {
			w := simulate(t, 3, wechat.Token, 5, 50, func(ctx context.Context, w *world) {
				sleep(ctx, time.Minute)
				w.untilDue(ctx)
				end := w.judge.begin(memcachedTrouble)
				w.memcached.SetFault(fault)
				sleep(ctx, 30*time.Minute)
				w.memcached.Restart()
				w.memcached.SetFault(memcachetest.None)
				sleep(ctx, 2*pollBound)
				end()
				sleep(ctx, long(2*time.Hour))
			})
			assert.Zero(t, w.judge.invalid, "reads of invalid tokens")
			assert.Zero(t, w.judge.failures, "reads without a token")
			t.Logf("%d reads, calls: %d token, %d stable_token", w.judge.reads, w.wechat.Requests("", "token"), w.wechat.Requests("", "stable_token"))
		})
	}
}

// A restarted memcached is full again without a request.
func TestRestart_NeedsNoRequest(t *testing.T) {
	t.Parallel()
	simulate(t, 4, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		sleep(ctx, 10*time.Minute)
		end := w.judge.begin(memcachedTrouble)
		w.memcached.Restart()
		at := time.Now()
		back := time.Duration(0)
		for sleep(ctx, 10*time.Millisecond) && time.Since(at) < pollBound {
			if _, ok := w.memcached.Peek(appID); ok {
				back = time.Since(at)
				break
			}
		}
		end()
		assert.NotZero(t, back, "the entry is back within a poll")
		assert.Equal(t, 1, w.wechat.Requests("", ""))
		t.Logf("the entry was back after %s", back)
	})
}

// A reader's miss fills memcached at once.
func TestRestart_FirstMissRefills(t *testing.T) {
	t.Parallel()
	simulate(t, 5, wechat.Token, 1, 0, func(ctx context.Context, w *world) {
		sleep(ctx, 10*time.Minute)
		end := w.judge.begin(memcachedTrouble)
		defer end()
		w.memcached.Restart()
		_, err := w.pods[0].client.AccessToken(ctx)
		require.NoError(t, err)
		sleep(ctx, 10*time.Millisecond)
		_, ok := w.memcached.Peek(appID)
		assert.True(t, ok, "the entry is back")
		assert.Equal(t, 1, w.wechat.Requests("", ""))
	})
}

// Forty sidecars whose WeChat fails for an hour: refusals, and answers that may have
// issued a token.
func TestBudget_FleetOf40(t *testing.T) {
	t.Parallel()
	for _, kind := range []wechattest.Answer{{Errcode: -1}, {Kind: wechattest.IssuedServerError}} {
		t.Run(fmt.Sprint(kind.Errcode, kind.Kind), func(t *testing.T) {
			var calls []time.Time
			simulate(t, 6, wechat.Token, many(40), 0, func(ctx context.Context, w *world) {
				sleep(ctx, time.Minute)
				w.untilDue(ctx)
				end := w.judge.begin(wechatTrouble)
				defer end()
				w.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
					w.judge.received(r)
					calls = append(calls, time.Now())
					return kind
				})
				sleep(ctx, time.Hour)
			})
			most := 0
			for i := range calls {
				n := 0
				for _, at := range calls[i:] {
					if at.Sub(calls[i]) < 10*time.Minute {
						n++
					}
				}
				most = max(most, n)
			}
			assert.LessOrEqual(t, most, 10)
			assert.NotZero(t, most)
			t.Logf("%d calls in the hour, at most %d in any ten minutes", len(calls), most)
		})
	}
}

// A lost answer heals before the grace period ends.
func TestLostAnswer_HealsInTheGracePeriod(t *testing.T) {
	t.Parallel()
	w := simulate(t, 7, wechat.Token, 5, 50, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		lost := time.Time{}
		end := w.judge.begin(wechatTrouble)
		w.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
			w.judge.received(r)
			if lost.IsZero() {
				lost = time.Now()
				return wechattest.Answer{Kind: wechattest.IssuedHang}
			}
			return wechattest.Answer{}
		})
		sleep(ctx, 10*time.Minute)
		end()
		issued := w.wechat.Issued()
		if assert.Len(t, issued, 3, "the first, the lost one, and the one that heals") {
			healed := issued[2].At.Sub(issued[1].At)
			assert.Less(t, healed, doubtBound)
			t.Logf("healed %s after the lost answer; its grace is 300 s", healed)
		}
	})
	assert.Zero(t, w.judge.invalid)
	assert.Zero(t, w.judge.failures)
}

// An external token in the entry heals within one poll.
func TestExternal_HealsInOnePoll(t *testing.T) {
	t.Parallel()
	simulate(t, 8, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		sleep(ctx, 10*time.Minute)
		end := w.judge.begin(externalTrouble)
		defer end()
		external := w.wechat.FetchExternally(appID)
		w.memcached.Put(appID, external, 0, 3600)
		at := time.Now()
		for sleep(ctx, 10*time.Millisecond) && time.Since(at) < time.Minute {
			if item, ok := w.memcached.Peek(appID); ok && item.Value != external {
				break
			}
		}
		assert.LessOrEqual(t, time.Since(at), pollBound)
		assert.Equal(t, 2, w.wechat.Requests("", ""))
		t.Logf("ours again after %s", time.Since(at))
	})
}

// A corrected AppSecret ends the cooldown at once.
func TestSecret_CorrectedEndsTheCooldown(t *testing.T) {
	t.Parallel()
	simulate(t, 9, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		end := w.judge.begin(wechatTrouble)
		defer end()
		w.wechat.SetSecret(appID, secret+"2")
		sleep(ctx, 3*time.Minute)
		before := w.wechat.Requests("", "")
		w.mu.Lock()
		w.haveSecret = secret + "2"
		w.mu.Unlock()
		sleep(ctx, pollBound)
		assert.Equal(t, before+1, w.wechat.Requests("", ""), "one request within one poll")
		assert.Equal(t, 2, w.wechat.Issues(appID))
	})
}

// All reports of a token together cause one renewal.
func TestReport_OneRenewalForAll(t *testing.T) {
	t.Parallel()
	simulate(t, 10, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		token, end := w.tokenBeforeTrouble(ctx)
		defer end()
		w.invalidate()
		got := make(chan string, 100)
		for i := range cap(got) {
			go func() {
				fresh, err := w.pods[i%5].client.Refresh(ctx, token)
				assert.NoError(t, err)
				got <- fresh
			}()
		}
		first := <-got
		for range cap(got) - 1 {
			same := first == <-got
			assert.True(t, same, "all get the same token")
		}
		assert.Zero(t, w.wechat.Accepts(first))
		assert.Equal(t, 2, w.wechat.Requests("", ""))
	})
}

// A memcached that is emptied just after a renewal costs no request.
//
// The renewer has seen its record, the others have not; then memcached forgets it.
func TestRestart_JustAfterARenewal(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		w := simulate(t, seed, wechat.Token, 5, 50, func(ctx context.Context, w *world) {
			sleep(ctx, time.Minute)
			emptied(ctx, w, time.Time{})
			sleep(ctx, 10*time.Minute)
		})
		assert.Equal(t, 2, w.wechat.Requests("", ""), "seed %d: the first, and one renewal", seed)
		assert.Zero(t, w.judge.invalid, "seed %d: reads of invalid tokens", seed)
	}
}

// A report does not wait while memcached fills again.
func TestReport_WhileMemcachedRefills(t *testing.T) {
	t.Parallel()
	simulate(t, 11, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		end, endExternal := w.judge.begin(memcachedTrouble), w.judge.begin(externalTrouble)
		defer endExternal()
		w.memcached.Restart()
		token, err := w.pods[0].client.AccessToken(ctx)
		require.NoError(t, err)
		sleep(ctx, time.Second)
		end()
		w.invalidate()
		fresh, err := w.pods[1].client.Refresh(ctx, token)
		require.NoError(t, err)
		assert.Zero(t, w.wechat.Accepts(fresh))
		assert.Equal(t, 2, w.wechat.Requests("", ""))
	})
}
