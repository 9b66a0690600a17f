package sim

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// memcached refuses one command that writes, or all, for six hours, as a full one
// with -M and some proxies do. No reader gets an invalid token, and none fails.
func TestAttack_MemcachedRefusesWrites(t *testing.T) {
	t.Parallel()
	for name, verbs := range map[string][]string{"cas": {"cas"}, "add": {"add"}, "incr": {"incr"}, "all": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var from time.Time
			w := attack(t, 201, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
				sleep(ctx, 10*time.Minute)
				from = time.Now()
				w.refuse(memcachetest.ServerError, verbs...)
				sleep(ctx, long(attackHours*time.Hour))
				w.allow()
				sleep(ctx, time.Hour)
			})
			requests := w.requestsSince(from)
			classic := count(requests, func(r request) bool { return r.api == string(wechat.Token) })
			unharmed(t, w)
			assert.LessOrEqual(t, classic, 10, "requests that end another token's life: one for each renewal")
			for _, p := range w.pods {
				assert.GreaterOrEqual(t, closest(of(requests, p)), 29*time.Second, "between two requests of %s", p.name)
			}
			w.t = t
			w.figures(name+" refused", requests)
		})
	}
}

// memcached fails for some commands only, so that every poll succeeds and no
// renewal can. A renewal then has no memcached: it is made without it when it is
// due, not when the token has nearly expired, and a report is heard.
func TestAttack_MemcachedFailsForSomeCommands(t *testing.T) {
	t.Parallel()
	for _, verbs := range []string{"add", "cas", "add cas", "add cas incr delete"} {
		t.Run(strings.ReplaceAll(verbs, " ", "_"), func(t *testing.T) {
			t.Parallel()
			var from time.Time
			least, invalid := 24*time.Hour, 0
			w := attack(t, 202, wechat.Token, 3, 30, func(ctx context.Context, w *world) {
				sleep(ctx, time.Minute)
				from = time.Now()
				w.refuse(memcachetest.ServerError, strings.Fields(verbs)...)
				for range 3 * 360 {
					sleep(ctx, 10*time.Second)
					for _, p := range w.pods {
						grant, err := p.process.group.Token(ctx, appID, memcache.AccessToken)
						if err != nil || w.wechat.Accepts(grant.Value) != 0 {
							invalid++
							continue
						}
						least = min(least, grant.ExpiresIn)
					}
				}
				w.invalidate()
				if w.wechat.Accepts(w.held(ctx, w.pods[1])) != 0 {
					fresh, err := w.pods[1].client.Refresh(ctx, w.held(ctx, w.pods[1]))
					if assert.NoError(w.t, err, "a report") {
						assert.Zero(w.t, w.wechat.Accepts(fresh))
					}
				}
				w.allow()
				sleep(ctx, time.Hour)
			})
			requests := w.requestsSince(from)
			unharmed(t, w)
			assert.Zero(t, invalid, "grants that were invalid or failed")
			assert.GreaterOrEqual(t, least, 100*time.Second, "the shortest life that a sidecar promised")
			w.t = t
			w.figures(verbs+" fail", requests, "shortest promise", least, "invalid grants", invalid)
		})
	}
}

// A server answers that the lease is held, and holds nothing under its key. Every
// turn of a loop pauses and is bounded: with a token to give, a sidecar asks
// memcached less than 100 times a minute; without one, less than 1,000 times.
func TestAttack_LeaseHeldAndMissing(t *testing.T) {
	t.Parallel()
	const minutes, pods = 10, 3
	for name, most := range map[string]int{"with_a_token": 100, "without_a_token": 1000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			w := attack(t, 203, wechat.Token, pods, 0, func(ctx context.Context, w *world) {
				sleep(ctx, time.Minute)
				if name == "with_a_token" {
					w.untilDue(ctx)
				} else {
					for _, p := range w.pods {
						p.end(true)
					}
					w.memcached.Flush()
				}
				var total atomic.Int64
				w.memcached.SetDelay(5 * time.Millisecond) // else a loop without a pause never ends
				w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
					total.Add(1)
					if len(c.Keys) == 1 && c.Keys[0] == leaseKey {
						if c.Verb == "add" {
							w.memcached.Put(leaseKey, "held", 0, 15)
						} else {
							w.memcached.Evict(leaseKey)
						}
					}
					return memcachetest.Slow
				})
				for _, p := range w.pods {
					p.start()
				}
				sleep(ctx, minutes*time.Minute)
				asked = int(total.Load()) / pods / minutes
				w.memcached.OnCommand(nil)
				w.memcached.Evict(leaseKey)
				sleep(ctx, 2*time.Minute)
				token, err := w.pods[0].client.AccessToken(ctx)
				if assert.NoError(w.t, err) {
					assert.Zero(w.t, w.wechat.Accepts(token))
				}
			})
			assert.Less(t, asked, most, "commands of one sidecar in a minute")
			w.t = t
			w.figures("the lease held and missing, "+name, w.requestsSince(w.start), "commands per sidecar and minute", asked)
		})
	}
}

// The record is evicted every 1 to 5 s around a renewal. One request renews.
func TestAttack_RecordEvictedInRenewal(t *testing.T) {
	t.Parallel()
	seeds := many(24)
	all, twice := 0, 0
	for seed := range uint64(seeds) {
		w := attack(t, 300+seed, wechat.Token, 5, 10, func(ctx context.Context, w *world) {
			sleep(ctx, time.Minute)
			w.untilDue(ctx)
			for end := time.Now().Add(90 * time.Second); time.Now().Before(end); {
				sleep(ctx, w.seconds(1, 5))
				w.memcached.Evict(recordKey)
			}
			sleep(ctx, 10*time.Minute)
		})
		n := len(w.requestsSince(w.start)) - 1
		all += n
		if n > 1 {
			twice++
		}
		assert.Equal(t, 1, n, "seed %d: requests of one renewal", 300+seed)
		unharmed(t, w)
	}
	t.Logf("| record evicted | %d requests for %d renewals, %d renewals with more than one |", all, seeds, twice)
}

// memcached fails just when the holder verifies its lease. Nothing was sent to the classic
// API, so the lease and the use of the budget are free again.
func TestAttack_LeaseCannotBeVerified(t *testing.T) {
	t.Parallel()
	var failed atomic.Bool
	var taken []string
	attack(t, 204, wechat.Token, 1, 0, func(ctx context.Context, w *world) {
		sleep(ctx, 20*time.Minute)
		var claimed atomic.Bool
		w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			switch {
			case len(c.Keys) != 1:
			case c.Keys[0] == recordKey && c.Verb == "cas":
				claimed.Store(true)
			case c.Keys[0] == leaseKey && c.Verb == "gets" && claimed.Load() && failed.CompareAndSwap(false, true):
				return memcachetest.ServerError
			}
			return memcachetest.None
		})
		w.pods[0].report(ctx)
		for _, key := range w.memcached.Keys() {
			if key == leaseKey || strings.HasPrefix(key, budgetKey) {
				taken = append(taken, key)
			}
		}
	})
	assert.True(t, failed.Load())
	assert.Empty(t, taken)
}
