package sim

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// One clock of five is minutes or hours off, and one answer of WeChat's is lost.
// One clock alone never makes two requests within one poll, and no reader notices.
func TestAttack_OneClockOff(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{3 * time.Minute, 20 * time.Minute, time.Hour, 24 * time.Hour, -time.Hour, -24 * time.Hour} {
		for _, lostBy := range []string{"it", "another"} {
			for seed := range uint64(max(1, many(2))) {
				name := fmt.Sprintf("by_%s_lost_by_%s_seed_%d", off, lostBy, 510+seed)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					var from time.Time
					w := attack(t, 510+seed, wechat.Token, 5, 10, func(ctx context.Context, w *world) {
						sleep(ctx, 10*time.Minute)
						w.jump(1, off)
						from = time.Now()
						w.loseAnswer(func(p *pod) bool { return (p == w.pods[0]) == (lostBy == "it") })
						sleep(ctx, long(6*time.Hour))
					})
					requests := w.requestsSince(from)
					unharmed(t, w)
					assert.GreaterOrEqual(t, closest(requests), 10*time.Second, "between two requests")
					const renewals, mends = 7, 2 // one for the lost answer, one for the jump
					assert.LessOrEqual(t, len(requests), 2*renewals+mends)
					w.t = t
					w.figures(name, requests, "closest", closest(requests))
				})
			}
		}
	}
}

// A sidecar loses its lease while WeChat takes its time, and one whose clock is
// 12 s ahead renews meanwhile. Who issued last is in doubt, whatever the clocks say.
func TestAttack_DoubtAndAClockAhead(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{12 * time.Second, time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			w := attack(t, 502, wechat.Token, 15, 30, func(ctx context.Context, w *world) {
				sleep(ctx, time.Minute)
				var other *pod
				for range 10 { // until another sidecar is due by then
					w.untilDue(ctx)
					var calls atomic.Int32
					w.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
						w.judge.received(r)
						if calls.Add(1) == 1 {
							return wechattest.Answer{Delay: 4800 * time.Millisecond}
						}
						return wechattest.Answer{DelayAfter: 100 * time.Millisecond}
					})
					slow := w.caller(ctx, time.Now().Add(2*time.Minute), nil)
					if slow == nil {
						break
					}
					for _, p := range w.pods {
						p.skew.Store(0)
						if p != slow {
							p.skew.Store(int64(ahead))
						}
					}
					token := w.held(ctx, slow)
					w.memcached.Evict(leaseKey)
					go func() { // the claim alone keeps the others from renewing; a report does not
						for _, p := range w.pods {
							if p != slow {
								_, _ = p.client.Refresh(ctx, token)
								return
							}
						}
					}()
					if other = w.caller(ctx, time.Now().Add(4500*time.Millisecond), slow); other != nil {
						break
					}
					sleep(ctx, 5*time.Minute)
					for _, p := range w.pods { // another jitter
						p.end(false)
						p.start()
					}
				}
				assert.NotNil(w.t, other, "two requests at the same time")
				sleep(ctx, 40*time.Minute)
			})
			unharmed(t, w)
			w.t = t
			w.figures(fmt.Sprintf("a lost lease, the others %s ahead", ahead), w.requestsSince(w.start))
		})
	}
}

// A sidecar whose clock is hours ahead takes the newer token for expired, and its
// own for valid. The entry never goes back to the older one.
func TestAttack_OlderTokenOverNewer(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{3 * time.Hour, 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			back := 0
			w := attack(t, 503, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
				sleep(ctx, 10*time.Minute)
				w.pods[0].skew.Store(int64(ahead))
				for range 3 {
					// The first report is renewed by the clock that is ahead, the next by another.
					for _, p := range w.pods[:2] {
						token := w.held(ctx, p)
						w.invalidate()
						if _, err := p.client.Refresh(ctx, token); err != nil {
							assert.Fail(w.t, "a report failed", "%v", err)
						}
						newest := 0
						for end := time.Now().Add(12 * time.Minute); time.Now().Before(end) && sleep(ctx, 100*time.Millisecond); {
							item, _ := w.memcached.Peek(appID)
							w.judge.mu.Lock()
							seq := w.judge.number(item.Value)
							w.judge.mu.Unlock()
							if seq > 0 && seq < newest {
								back++
							}
							newest = max(newest, seq)
						}
					}
				}
			})
			assert.Zero(t, back, "tenths of a second in which the entry held an older token")
			unharmed(t, w)
			w.t = t
			w.figures(fmt.Sprintf("a clock %s ahead, reports", ahead), w.requestsSince(w.start), "older for tenths of a second", back)
		})
	}
}

// The fleet waits an hour because of the day's quota. A clock that is hours off
// ends no wait.
func TestAttack_WaitAndAClockOff(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			t.Parallel()
			var from time.Time
			w := attack(t, 504, wechat.Token, 5, 10, func(ctx context.Context, w *world) {
				w.pods[0].skew.Store(int64(off))
				sleep(ctx, time.Minute)
				w.untilDue(ctx)
				from = time.Now()
				w.failing.Store(45009)
				sleep(ctx, 190*time.Minute)
			})
			requests := w.requestsSince(from)
			assert.GreaterOrEqual(t, closest(requests), 59*time.Minute, "between two requests")
			invalid, _ := w.judge.counted()
			assert.Zero(t, invalid, "reads of invalid tokens")
			w.t = t
			w.figures(fmt.Sprintf("a wait of an hour, a clock off by %s", off), requests, "closest", closest(requests))
		})
	}
}
