package sim

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Each of these tests does something between two steps of one renewal. It fails if the
// step after that is left out, or does not check.

// onRecord calls do before each command on the record alone.
func (w *world) onRecord(do func(verb string)) {
	w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
		if len(c.Keys) == 1 && c.Keys[0] == recordKey {
			do(c.Verb)
		}
		return memcachetest.None
	})
}

// inRequest waits for the next planned request, which takes so long, and returns who sends
// it.
func (w *world) inRequest(ctx context.Context, takes time.Duration) *pod {
	sleep(ctx, time.Minute)
	w.untilDue(ctx)
	w.answerFirst(wechattest.Answer{DelayAfter: takes})
	holder := w.caller(ctx, time.Now().Add(2*time.Minute), nil)
	assert.NotNil(w.t, holder, "no request")
	return holder
}

// number returns the number of the record.
func (w *world) number() int64 {
	number, err := strconv.ParseInt(w.field("number"), 10, 64)
	w.must(err)
	return number
}

// The record changes between reading and the claim. The holder begins again at once: it
// neither keeps the lease, nor takes that for a failure of memcached.
func TestAttack_ConflictAtTheClaim(t *testing.T) {
	t.Parallel()
	took := time.Duration(0)
	w := attack(t, 620, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		var conflict atomic.Int64
		w.onRecord(func(verb string) {
			if verb == "cas" && conflict.CompareAndSwap(0, time.Now().UnixNano()) {
				w.rewrite(nil)
			}
		})
		assert.NotNil(w.t, w.caller(ctx, time.Now().Add(2*time.Minute), nil))
		took = time.Since(time.Unix(0, conflict.Load()))
		sleep(ctx, 10*time.Minute)
	})
	unharmed(t, w)
	assert.Less(t, took, time.Second, "from the conflict until the request")
	assert.Len(t, w.requestsSince(w.start), 2, "the first, and the renewal")
}

// What reads back is the claim of another sidecar under the same number: both began in the
// same millisecond, and memcached lost the first one's.
func TestAttack_AnothersClaimReadsBack(t *testing.T) {
	t.Parallel()
	meanwhile := 0
	w := attack(t, 621, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		from := time.Now()
		var stored atomic.Bool
		w.onRecord(func(verb string) {
			if verb == "cas" {
				stored.Store(true)
			} else if stored.Swap(false) {
				w.rewrite(map[string]any{"claim": "another"})
			}
		})
		sleep(ctx, 30*time.Second)
		meanwhile = len(w.requestsSince(from))
		w.memcached.OnCommand(nil)
		sleep(ctx, 20*time.Minute)
	})
	unharmed(t, w)
	assert.Zero(t, meanwhile, "requests under another's claim")
}

// While its request runs, the holder promises no more than every sidecar does that has
// seen its claim.
func TestAttack_HolderPromisesWhatItClaims(t *testing.T) {
	t.Parallel()
	promised := time.Duration(0)
	w := attack(t, 622, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		if holder := w.inRequest(ctx, 4*time.Second); holder != nil {
			grant, err := holder.process.group.Token(ctx, appID, memcache.AccessToken)
			assert.NoError(w.t, err)
			promised = grant.ExpiresIn
		}
		sleep(ctx, 10*time.Minute)
	})
	unharmed(t, w)
	assert.LessOrEqual(t, promised, time.Minute)
	assert.NotZero(t, promised)
}

// The lease is lost while the request runs, and no sidecar takes it: the claim stands, so the
// success replaces it, and nothing is in doubt.
func TestAttack_LeaseLostClaimStands(t *testing.T) {
	t.Parallel()
	w := attack(t, 623, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		w.inRequest(ctx, 4*time.Second)
		w.memcached.Evict(leaseKey)
		sleep(ctx, 20*time.Minute)
	})
	unharmed(t, w)
	assert.Len(t, w.requestsSince(w.start), 2, "the first, and the renewal")
}

// Another sidecar's mark replaces the claim while the request runs, under a higher or a
// lower number. The holder still has the lease. Its success has a number above both, and
// keeps the doubt of the mark, which one more renewal ends.
func TestAttack_MarkWhileTheRequestRuns(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]int64{"a higher number": 100_000, "a lower number": -100_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			least, claim := int64(0), ""
			var swapped atomic.Bool
			var number atomic.Int64 // of the success, before a poll reads it
			w := attack(t, 624, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
				if w.inRequest(ctx, time.Second) == nil {
					return
				}
				claimed := w.number()
				least = max(claimed, claimed+off) + 1
				w.rewrite(map[string]any{"number": claimed + off, "claim": "another", "doubt": time.Now().Unix()})
				w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
					if c.Verb == "cas" && c.Keys[0] == recordKey {
						swapped.Store(true)
					} else if swapped.Load() {
						number.CompareAndSwap(0, w.number())
					}
					return memcachetest.None
				})
				sleep(ctx, 3*time.Second)
				w.memcached.OnCommand(nil)
				claim = w.field("claim")
				sleep(ctx, 20*time.Minute)
			})
			unharmed(t, w)
			assert.GreaterOrEqual(t, number.Load(), least, "the number of the success")
			assert.Equal(t, `"another"`, claim)
			assert.Len(t, w.requestsSince(w.start), 3, "the first, the renewal, and one for the doubt")
		})
	}
}

// The holder's success meets another record, and before the holder reads that, it loses
// the lease, and a later token is written. The holder does not write over it.
func TestAttack_LeaseLostBeforeTheReading(t *testing.T) {
	t.Parallel()
	w := attack(t, 625, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		if w.inRequest(ctx, time.Second) == nil {
			return
		}
		w.rewrite(map[string]any{"claim": "another"})
		var reads atomic.Int32
		w.onRecord(func(verb string) {
			if verb != "cas" && reads.Add(1) == 2 { // the first one is that of its compare-and-swap
				w.memcached.Evict(leaseKey)
				now := time.Now().Unix()
				w.rewrite(map[string]any{
					"token": w.wechat.FetchExternally(appID), "number": w.number() + 100, "issued": now, "expires": now + 7200, "age": 0,
					"doubt": 0, "claim": "",
				})
			}
		})
		sleep(ctx, 20*time.Minute)
		w.memcached.OnCommand(nil)
	})
	unharmed(t, w)
	assert.Len(t, w.requestsSince(w.start), 3, "the first, the renewal, and one for the doubt")
}

// Memcached refuses writes of the record when the mark of a lost answer is due. The sidecar
// tries again at every poll until the mark stands.
func TestAttack_MarkIsRefusedAtFirst(t *testing.T) {
	t.Parallel()
	w := attack(t, 626, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		w.answerFirst(wechattest.Answer{Delay: 4 * time.Second, Kind: wechattest.IssuedNoAnswer})
		holder := w.caller(ctx, time.Now().Add(2*time.Minute), nil)
		if !assert.NotNil(w.t, holder) {
			return
		}
		sleep(ctx, 500*time.Millisecond) // or the number of the claim would be the higher one, and its doubt stay
		w.memcached.Evict(leaseKey)
		w.memcached.Evict(recordKey)
		other := w.another(holder)
		other.report(ctx)
		w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if len(c.Keys) == 1 && c.Keys[0] == recordKey && (c.Verb == "cas" || c.Verb == "add") {
				return memcachetest.ServerError
			}
			return memcachetest.None
		})
		sleep(ctx, 20*time.Second)
		w.memcached.OnCommand(nil)
		sleep(ctx, 30*time.Minute)
	})
	unharmed(t, w)
	assert.Len(t, w.requestsSince(w.start), 4, "the first, two at the same time, and one for the doubt")
}

// Memcached fails when the answer is there. The holder serves the token that it could not
// write, and promises nothing: another sidecar's request may have come after its own.
func TestAttack_UnwrittenTokenIsInDoubt(t *testing.T) {
	t.Parallel()
	before, after, promised := "", "", time.Duration(0)
	w := attack(t, 627, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		if holder := w.inRequest(ctx, time.Second); holder != nil {
			before = w.held(ctx, holder)
			w.memcached.SetFault(memcachetest.ServerError)
			sleep(ctx, 2*time.Second)
			grant, err := holder.process.group.Token(ctx, appID, memcache.AccessToken)
			assert.NoError(w.t, err)
			after, promised = grant.Value, grant.ExpiresIn
		}
		w.memcached.SetFault(memcachetest.None)
		sleep(ctx, 10*time.Minute)
	})
	unharmed(t, w)
	assert.NotEqual(t, before, after)
	assert.Equal(t, time.Second, promised)
}

// There is no record, and memcached refuses cas. That is found before a request to the
// classic API, whose token no sidecar could write.
func TestAttack_NoRecordAndNoSwap(t *testing.T) {
	t.Parallel()
	meanwhile := 0
	w := attack(t, 628, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		sleep(ctx, 10*time.Minute)
		from := time.Now()
		w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "cas" {
				return memcachetest.ServerError
			}
			return memcachetest.None
		})
		w.memcached.Evict(recordKey)
		w.pods[0].report(ctx)
		meanwhile = w.classicSince(from)
		w.memcached.OnCommand(nil)
		sleep(ctx, 10*time.Minute)
	})
	unharmed(t, w)
	assert.Zero(t, meanwhile, "requests to the classic API")
}

// No request to stable_token invalidates a token: nothing is in doubt while one runs.
func TestAttack_StableTokenNeedsNoClaim(t *testing.T) {
	t.Parallel()
	doubt, claim := "", ""
	w := attack(t, 629, wechat.StableToken, 5, 20, func(ctx context.Context, w *world) {
		w.inRequest(ctx, 2*time.Second)
		doubt, claim = w.field("doubt"), w.field("claim")
		sleep(ctx, 10*time.Minute)
	})
	unharmed(t, w)
	assert.Equal(t, "0", doubt)
	assert.Empty(t, claim)
	assert.Len(t, w.requestsSince(w.start), 2, "the first, and the renewal")
}

// renewed has another program renew the token and write it to the record, as a sidecar does
// that this one knows nothing of. It returns the token.
func (w *world) renewed() string {
	entry, _ := w.memcached.Peek(appID)
	w.invalidate()
	issued := w.wechat.Issued()
	token, now := issued[len(issued)-1].Token, time.Now().Unix()
	w.rewrite(map[string]any{
		"token": token, "number": time.Now().UnixMilli() + 1000, "issued": now, "expires": now + 7200, "age": 0, "doubt": 0, "claim": "",
		"past": []string{memcache.Fingerprint(entry.Value)},
	})
	return token
}

// Another sidecar renews between reading the record and taking the lease: the record is
// read again under the lease, and no request is sent.
func TestAttack_RenewedBeforeTheLease(t *testing.T) {
	t.Parallel()
	w := attack(t, 630, wechat.Token, 5, 0, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		var once atomic.Bool
		w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "add" && c.Keys[0] == leaseKey && once.CompareAndSwap(false, true) {
				w.renewed()
			}
			return memcachetest.None
		})
		sleep(ctx, 10*time.Minute)
		w.memcached.OnCommand(nil)
		assert.True(w.t, once.Load())
	})
	assert.Len(t, w.requestsSince(w.start), 1, "the first")
}

// While a request to stable_token runs, another sidecar has forced a newer token, and has
// written it. What comes back is older, and is not written over it.
func TestAttack_OlderStableTokenArrivesLast(t *testing.T) {
	t.Parallel()
	want, got := "", ""
	attack(t, 631, wechat.StableToken, 5, 0, func(ctx context.Context, w *world) {
		w.inRequest(ctx, 2*time.Second)
		want = strconv.Quote(w.renewed())
		sleep(ctx, 10*time.Minute)
		got = w.field("token")
	})
	assert.Equal(t, want, got)
}

// The planned request of this renewal was sent already, as far as memcached knows, and no
// use of the budget is free: a token that is due is no reason for another one.
func TestAttack_PlannedOnce(t *testing.T) {
	t.Parallel()
	meanwhile := 0
	w := attack(t, 632, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		sleep(ctx, time.Minute)
		w.untilDue(ctx)
		from := time.Now()
		w.memcached.Put(appID+":planned", memcache.NewID(), 0, 120)
		for i := range protocol.Budget {
			w.memcached.Put(fmt.Sprintf("%s:budget:%d", appID, i), memcache.NewID(), 0, 120)
		}
		sleep(ctx, 100*time.Second)
		meanwhile = len(w.requestsSince(from))
		sleep(ctx, 10*time.Minute)
	})
	unharmed(t, w)
	assert.Zero(t, meanwhile)
	assert.Len(t, w.requestsSince(w.start), 2, "the first, and the renewal")
}

// The answer is there, and memcached refuses to write its record. The entry keeps the token
// of the record: another one would count as external.
func TestAttack_EntryFollowsTheRecord(t *testing.T) {
	t.Parallel()
	before, meanwhile := "", ""
	w := attack(t, 633, wechat.Token, 5, 20, func(ctx context.Context, w *world) {
		w.inRequest(ctx, time.Second)
		entry, _ := w.memcached.Peek(appID)
		before = entry.Value
		w.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "cas" && c.Keys[0] == recordKey {
				return memcachetest.ServerError
			}
			return memcachetest.None
		})
		sleep(ctx, 3*time.Second)
		entry, _ = w.memcached.Peek(appID)
		meanwhile = entry.Value
		w.memcached.OnCommand(nil)
		sleep(ctx, 20*time.Minute)
	})
	unharmed(t, w)
	assert.Equal(t, before, meanwhile)
	assert.Len(t, w.requestsSince(w.start), 3, "the first, the renewal, and one for the doubt")
}
