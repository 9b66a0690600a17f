package sim

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Each of these tests fails if a rule of the claim is broken. The episodes of the
// simulation hardly ever bring about what they do.

// answerFirst answers the next request like this, and all later ones as usual.
func (w *world) answerFirst(first wechattest.Answer) {
	var answered atomic.Bool
	w.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
		if answered.CompareAndSwap(false, true) {
			w.judge.received(r)
			return first
		}
		return w.normalAnswer(r)
	})
}

// report has the app beside a sidecar report its token, true or not.
func (p *pod) report(ctx context.Context) {
	if token, err := p.client.AccessToken(ctx); err == nil {
		_, _ = p.client.Refresh(ctx, token)
	}
}

// classicSince returns the number of requests to the classic API.
func (w *world) classicSince(from time.Time) int {
	return len(slices.DeleteFunc(w.requestsSince(from), func(r request) bool { return r.api != string(wechat.Token) }))
}

// another is a sidecar other than this one.
func (w *world) another(than *pod) *pod {
	for _, p := range w.pods {
		if p != than {
			return p
		}
	}
	return nil
}

// A sidecar renews for a report, and is killed after WeChat issued the token. Nothing
// but the others read its claim.
func TestAttack_HolderKilledInRequest(t *testing.T) {
	t.Parallel()
	w := attack(t, 601, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		sleep(ctx, 10*time.Minute)
		w.answerFirst(wechattest.Answer{DelayAfter: 4 * time.Second})
		go w.pods[0].report(ctx)
		holder := w.caller(ctx, time.Now().Add(time.Minute), nil)
		if !assert.NotNil(w.t, holder) {
			return
		}
		sleep(ctx, time.Second)
		holder.end(true)
		sleep(ctx, 10*time.Minute)
		holder.start()
		sleep(ctx, 20*time.Minute)
	})
	unharmed(t, w)
	assert.Len(t, w.requestsSince(w.start), 3, "the first, the lost one, and one for the doubt")
}

// lostIn has a sidecar lose these keys in the middle of a planned request. Another one
// renews for a report meanwhile, and WeChat issues the first one's token after that.
func (w *world) lostIn(ctx context.Context, first wechattest.Answer, keys ...string) (holder *pod) {
	sleep(ctx, time.Minute)
	w.untilDue(ctx)
	w.answerFirst(first)
	if holder = w.caller(ctx, time.Now().Add(2*time.Minute), nil); holder == nil {
		assert.Fail(w.t, "no request")
		return nil
	}
	for _, key := range keys {
		w.memcached.Evict(key)
	}
	other := w.another(holder)
	go other.report(ctx)
	assert.Equal(w.t, other, w.caller(ctx, time.Now().Add(3*time.Second), holder))
	return holder
}

// The claim of a sidecar that lost its lease is a doubt that another one's success
// keeps.
func TestAttack_ClaimOutlivesAnothersSuccess(t *testing.T) {
	t.Parallel()
	w := attack(t, 602, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		holder := w.lostIn(ctx, wechattest.Answer{Delay: 4 * time.Second, Late: true}, leaseKey)
		if holder == nil {
			return
		}
		sleep(ctx, 2*time.Second)
		holder.end(true)
		sleep(ctx, 10*time.Minute)
		holder.start()
		sleep(ctx, 20*time.Minute)
	})
	unharmed(t, w)
	assert.Len(t, w.requestsSince(w.start), 4, "the first, two at the same time, and one for the doubt")
}

// The claim is evicted before any other sidecar has seen it, and the answer is lost:
// the sidecar that sent the request still marks the record.
func TestAttack_LostAnswerAndLostClaim(t *testing.T) {
	t.Parallel()
	w := attack(t, 603, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		w.lostIn(ctx, wechattest.Answer{Delay: 4 * time.Second, Kind: wechattest.IssuedNoAnswer}, leaseKey, recordKey)
		sleep(ctx, 30*time.Minute)
	})
	unharmed(t, w)
	assert.Len(t, w.requestsSince(w.start), 4, "the first, two at the same time, and one for the doubt")
}

// WeChat issues a token to a sidecar, and then one to another, which writes it first. The
// first one's answer arrives last, and is never written over the other's.
func TestAttack_OlderAnswerArrivesLast(t *testing.T) {
	t.Parallel()
	w := attack(t, 606, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		w.lostIn(ctx, wechattest.Answer{DelayAfter: 4 * time.Second}, leaseKey)
		sleep(ctx, 30*time.Minute)
	})
	unharmed(t, w)
	assert.Len(t, w.requestsSince(w.start), 4, "the first, two at the same time, and one for the doubt")
}

// WeChat issues to a sidecar last whose lease and claim are lost, and another one's token
// is in the record. The first one marks it. With some seeds a third sidecar has seen the
// claim, which has a higher number than that record.
func TestAttack_LaterAnswerCannotBeWritten(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		w := attack(t, 607+seed, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
			w.lostIn(ctx, wechattest.Answer{Delay: 4 * time.Second}, leaseKey, recordKey)
			sleep(ctx, 30*time.Minute)
		})
		unharmed(t, w)
		assert.Len(t, w.requestsSince(w.start), 4, "the first, two at the same time, and one for the doubt")
	}
}

// A refusal issues nothing, so it leaves no doubt: the promise of the token stays as it
// is while all sidecars wait.
func TestAttack_RefusalTakesTheClaimBack(t *testing.T) {
	t.Parallel()
	least := time.Hour
	w := attack(t, 604, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		w.failing.Store(45009)
		sleep(ctx, time.Minute)
		for range 30 {
			sleep(ctx, time.Minute)
			assert.Equal(w.t, "0", w.field("doubt"))
			for _, p := range w.pods {
				grant, err := p.process.group.Token(ctx, appID, memcache.AccessToken)
				assert.NoError(w.t, err) //nolint:testifylint // FailNow while readers run is a deadlock of synctest
				least = min(least, grant.ExpiresIn)
			}
		}
	})
	assert.GreaterOrEqual(t, least, 270*time.Second, "the shortest promise")
	assert.Len(t, w.requestsSince(w.start), 2)
}

// memcached answers that it stored each claim, and has lost it a moment later. Without
// a claim no request is sent to the classic API.
func TestAttack_ClaimsAreLostAtOnce(t *testing.T) {
	t.Parallel()
	meanwhile := 0
	w := attack(t, 605, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		from := time.Now()
		var stored atomic.Bool
		w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if len(c.Keys) == 1 && c.Keys[0] == recordKey {
				if c.Verb == "cas" {
					stored.Store(true)
				} else if stored.Swap(false) {
					w.memcached.Evict(recordKey)
				}
			}
			return memcachetest.None
		})
		sleep(ctx, 5*time.Minute)
		meanwhile = w.classicSince(from)
		w.memcached.OnCommand(nil)
		sleep(ctx, 20*time.Minute)
	})
	unharmed(t, w)
	assert.Zero(t, meanwhile, "requests without a claim")
	assert.LessOrEqual(t, w.classicSince(w.start), 2, "the first, and perhaps the renewal")
}

// A refusal is taken back although memcached loses the record during the request, or
// refuses to write just then: the next polls do it.
func TestAttack_RefusalWhileMemcachedFails(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(w *world){
		"record_evicted": func(w *world) { w.memcached.Evict(recordKey) },
		"cas_refused": func(w *world) {
			w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
				if c.Verb == "cas" {
					return memcachetest.ServerError
				}
				return memcachetest.None
			})
			time.AfterFunc(8*time.Second, func() { w.memcached.OnCommand(nil) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			least, doubt := time.Hour, ""
			w := attack(t, 608, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
				sleep(ctx, time.Minute)
				w.untilDue(ctx)
				w.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
					w.judge.received(r)
					return wechattest.Answer{Errcode: 45009, Delay: 4 * time.Second}
				})
				assert.NotNil(w.t, w.caller(ctx, time.Now().Add(2*time.Minute), nil))
				sleep(ctx, time.Second)
				fault(w)
				sleep(ctx, time.Minute)
				for range 30 {
					sleep(ctx, time.Minute)
					for _, p := range w.pods {
						grant, err := p.process.group.Token(ctx, appID, memcache.AccessToken)
						assert.NoError(w.t, err) //nolint:testifylint // FailNow while readers run is a deadlock of synctest
						least = min(least, grant.ExpiresIn)
					}
				}
				doubt = w.field(doubtField)
			})
			assert.Equal(t, "0", doubt)
			assert.GreaterOrEqual(t, least, 270*time.Second, "the shortest promise")
			unharmed(t, w)
		})
	}
}

// During a request to stable_token a sidecar of the classic API marks a record that has no
// token. The token that was fetched is written over it, and no second request follows.
func TestAttack_StableTokenBesideAMark(t *testing.T) {
	t.Parallel()
	requests := 0
	attack(t, 609, wechat.StableToken, 1, 0, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.pods[0].end(true)
		w.memcached.Flush()
		defer w.slowCalls(3 * time.Second)()
		from := time.Now()
		w.pods[0].start()
		assert.NotNil(w.t, w.caller(ctx, time.Now().Add(time.Minute), nil))
		w.memcached.Put(recordKey, fmt.Sprintf(`{"v":1,"token":"","number":%d,"api":"token","doubt":%d,"claim":"mark"}`,
			time.Now().Add(5*time.Second).UnixMilli(), time.Now().Unix()), 0, 7200)
		sleep(ctx, time.Minute)
		requests = len(w.requestsSince(from))
	})
	assert.Equal(t, 1, requests)
}

// A memcached that stores records and loses them at once answers every command, and yet no
// sidecar can claim. That counts as an outage of memcached: stable_token is asked.
func TestAttack_RecordsAreNotKept(t *testing.T) {
	t.Parallel()
	var from time.Time
	w := attack(t, 609, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		from = time.Now()
		end := w.judge.begin(verbTrouble)
		w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if len(c.Keys) == 1 && c.Keys[0] == recordKey && c.Verb == "gets" {
				w.memcached.Evict(recordKey)
			}
			return memcachetest.None
		})
		sleep(ctx, 5*time.Hour)
		w.memcached.OnCommand(nil)
		end()
		sleep(ctx, 2*time.Hour)
	})
	unharmed(t, w)
	assert.NotEmpty(t, w.requestsSince(from))
	assert.LessOrEqual(t, len(w.requestsSince(from)), 60, "each of five sidecars asks once an hour")
}
