package keeper_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// fakeUpstream gives a credential for each kind, and renews one that is reported.
type fakeUpstream struct {
	mu        sync.Mutex // guards what follows
	number    int64
	token     string
	life      time.Duration
	promise   time.Duration
	fails     error
	issued    time.Time // the token
	bearer    string
	questions []keeper.Question
	at        []time.Time
}

func newUpstream() *fakeUpstream {
	return &fakeUpstream{number: 1000, token: "canarytoken-up-00001", life: 7000 * time.Second, promise: 3500 * time.Second, issued: time.Now()}
}

// Ask implements keeper.Upstream.
func (u *fakeUpstream) Ask(ctx context.Context, q keeper.Question) (protocol.Answer, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.questions, u.at = append(u.questions, q), append(u.at, time.Now())
	switch {
	case ctx.Err() != nil:
		return protocol.Answer{}, ctx.Err()
	case u.fails != nil:
		return protocol.Answer{}, u.fails
	}
	if q.Rejected == u.token {
		u.renewLocked()
	}
	age := time.Since(u.issued)
	return protocol.Answer{Token: u.token, Number: u.number, Life: u.life - age, Promise: max(u.promise-age, 275*time.Second)}, nil
}

// Bearer implements keeper.Upstream.
func (u *fakeUpstream) Bearer() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return memcache.Fingerprint(u.bearer)
}

func (u *fakeUpstream) renewLocked() {
	u.number += 2
	u.issued = time.Now()
	u.token = fmt.Sprintf("canarytoken-up-%05d", u.number)
}

// renew makes the upstream renew, as after an external fetch.
func (u *fakeUpstream) renew() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.renewLocked()
	return u.token
}

// set changes the upstream.
func (u *fakeUpstream) set(change func(u *fakeUpstream)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(u)
}

// asked returns how many questions there were, and how many of them were reports.
func (u *fakeUpstream) asked() (all, reports int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, q := range u.questions {
		if q.Rejected != "" {
			reports++
		}
	}
	return len(u.questions), reports
}

// withUpstream runs test with so many sidecars that have an upstream, in virtual time.
func withUpstream(t *testing.T, sidecars int, test func(h *fixture, u *fakeUpstream, groups []*keeper.Group)) {
	t.Helper()
	inBubble(t, func(h *fixture) {
		t := h.t
		u := newUpstream()
		h.config.Upstream, h.config.WeChat = u, nil
		var groups []*keeper.Group
		for range sidecars {
			group := h.another()
			require.NoError(t, group.SetAccounts([]keeper.Account{{AppID: "wx1"}}))
			groups = append(groups, group)
		}
		test(h, u, groups)
		assert.NotContains(t, h.logs.String(), "canary", "nothing secret is logged")
	})
}

func tokenOf(t *testing.T, group *keeper.Group) keeper.Grant {
	t.Helper()
	grant, err := group.Token(t.Context(), "wx1", memcache.AccessToken)
	require.NoError(t, err)
	return grant
}

// refused is an upstream's refusal.
func refused(code int, class wechat.Class, wait time.Duration) error {
	return &wechat.Error{Code: code, Message: "said by the upstream", Class: class, Wait: wait}
}

// One of all sidecars asks in 10 to 15 s, and every one has what it got. No request of
// WeChat's budget is used.
func TestUpstream_OneOfAllAsks(t *testing.T) {
	withUpstream(t, 5, func(h *fixture, u *fakeUpstream, groups []*keeper.Group) {
		t := h.t
		for _, group := range groups {
			assert.Equal(t, "canarytoken-up-00001", tokenOf(t, group).Value)
		}
		time.Sleep(10 * time.Minute)
		all, reports := u.asked()
		assert.InDelta(t, 55, all, 15, "600 s")
		assert.Zero(t, reports)
		for i := 2; i < len(u.at); i++ {
			assert.GreaterOrEqual(t, u.at[i].Sub(u.at[i-1]), 9*time.Second)
		}
		for _, key := range h.memcached.Keys() {
			assert.NotContains(t, key, "budget")
			assert.NotContains(t, key, "requests")
		}
		fresh := u.renew()
		time.Sleep(45 * time.Second)
		for _, group := range groups {
			assert.Equal(t, fresh, tokenOf(t, group).Value)
		}
		assert.Equal(t, fresh, h.entry())
	})
}

// Answers with the token that is held are counted: alerts tell one lost answer from an outage.
func TestUpstream_CountsTheSameToken(t *testing.T) {
	withUpstream(t, 1, func(h *fixture, _ *fakeUpstream, groups []*keeper.Group) {
		tokenOf(h.t, groups[0])
		time.Sleep(2 * time.Minute)
		n := groups[0].States()[0].Counts
		assert.EqualValues(h.t, 1, n.Renewed)
		// A poll every 10 to 15 s, and none asks while the mark of the last one lives, for 11 s.
		assert.GreaterOrEqual(h.t, int(n.Unchanged), 4)
		assert.LessOrEqual(h.t, int(n.Unchanged), 12)
	})
}

// The promise is passed on, less its age. A restarted memcached is full again without a
// question.
func TestUpstream_PassesThePromiseOn(t *testing.T) {
	withUpstream(t, 2, func(h *fixture, u *fakeUpstream, groups []*keeper.Group) {
		t := h.t
		tokenOf(t, groups[0])
		time.Sleep(time.Minute)
		u.set(func(u *fakeUpstream) { u.fails = refused(-1, wechat.Transient, 0) })
		for _, group := range groups {
			assert.InDelta(t, 3440, tokenOf(t, group).ExpiresIn.Seconds(), 3)
		}
		h.memcached.Restart()
		time.Sleep(16 * time.Second)
		assert.Equal(t, "canarytoken-up-00001", h.entry())
		time.Sleep(3500 * time.Second)
		grant := tokenOf(t, groups[1])
		assert.Equal(t, time.Second, grant.ExpiresIn, "the upstream is silent, and the token valid")
		time.Sleep(3500 * time.Second)
		_, err := groups[0].Token(t.Context(), "wx1", memcache.AccessToken)
		var e *keeper.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, keeper.Unavailable, e.Reason)
		u.set(func(u *fakeUpstream) { u.fails = nil; u.renewLocked() })
		time.Sleep(2 * time.Minute)
		tokenOf(t, groups[0])
	})
}

// All reports together cause one report upstream, whose answer all get.
func TestUpstream_OneReportForAll(t *testing.T) {
	withUpstream(t, 3, func(h *fixture, u *fakeUpstream, groups []*keeper.Group) {
		t := h.t
		old := tokenOf(t, groups[0]).Value
		time.Sleep(20 * time.Second)
		var all sync.WaitGroup
		for i := range 9 {
			all.Go(func() {
				fresh, e := report(t.Context(), groups[i%3], old)
				assert.Nil(t, e)
				assert.Equal(t, "canarytoken-up-01002", fresh)
			})
		}
		all.Wait()
		_, reports := u.asked()
		assert.Equal(t, 1, reports)
		assert.Equal(t, "canarytoken-up-01002", h.entry())
	})
}

// A report that the upstream refuses is answered as it says, and changes nothing else: the
// upstream is asked as before.
func TestUpstream_RefusesAReport(t *testing.T) {
	for code, reason := range map[int]keeper.Reason{429: keeper.Budget, 403: keeper.Refused} {
		class := wechat.Later
		if code == 403 {
			class = wechat.Person
		}
		withUpstream(t, 1, func(h *fixture, u *fakeUpstream, groups []*keeper.Group) {
			t := h.t
			old := tokenOf(t, groups[0]).Value
			time.Sleep(20 * time.Second)
			u.set(func(u *fakeUpstream) { u.fails = refused(code, class, 31*time.Second) })
			_, e := report(t.Context(), groups[0], old)
			require.NotNil(t, e)
			assert.Equal(t, reason, e.Reason)
			assert.Equal(t, code, e.Code)
			assert.Equal(t, 31*time.Second, e.RetryAfter)
			_, cooling := h.memcached.Peek("wx1:lease")
			assert.False(t, cooling)
			u.set(func(u *fakeUpstream) { u.fails = nil })
			fresh := u.renew()
			time.Sleep(30 * time.Second)
			assert.Equal(t, fresh, tokenOf(t, groups[0]).Value)
			_, reports := u.asked()
			assert.Equal(t, 1, reports)
		})
	}
}

// An errcode in an upstream's answer is the upstream's: no sidecar yields, all wait as one,
// and the hint names the upstream. 429 and 503 wait as told, a person's matter a minute.
func TestUpstream_AllWaitAsTold(t *testing.T) {
	for name, c := range map[string]struct {
		fails error
		wait  time.Duration
	}{
		"503":   {refused(-1, wechat.Later, 40*time.Second), 40 * time.Second},
		"429":   {refused(429, wechat.Later, 20*time.Second), 20 * time.Second},
		"401":   {refused(401, wechat.Person, 0), 61 * time.Second},
		"40164": {refused(40164, wechat.Person, 0), 61 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			withUpstream(t, 3, func(h *fixture, u *fakeUpstream, _ []*keeper.Group) {
				t := h.t
				synctest.Wait()
				h.memcached.Restart()
				u.set(func(u *fakeUpstream) { u.fails, u.questions = c.fails, nil })
				fresh := h.another()
				require.NoError(t, fresh.SetAccounts([]keeper.Account{{AppID: "wx2"}}))
				_, err := fresh.Token(t.Context(), "wx2", memcache.AccessToken)
				var e *keeper.Error
				require.ErrorAs(t, err, &e)
				assert.NotContains(t, e.Hint.English, "WECHAT_")
				item, ok := h.memcached.Peek("wx2:lease")
				require.True(t, ok, "a cooldown")
				assert.InDelta(t, c.wait.Seconds(), time.Until(item.Expires).Seconds(), 2)
				_, handed := h.memcached.Peek("wx2:handover:0")
				assert.False(t, handed)
			})
		})
	}
}

// A standalone that lags never makes the token older.
func TestUpstream_OneThatLags(t *testing.T) {
	withUpstream(t, 2, func(h *fixture, u *fakeUpstream, groups []*keeper.Group) {
		t := h.t
		old := tokenOf(t, groups[0]).Value
		time.Sleep(20 * time.Second)
		fresh := u.renew()
		time.Sleep(30 * time.Second)
		require.Equal(t, fresh, tokenOf(t, groups[0]).Value)
		lag := func(lags bool) {
			u.set(func(u *fakeUpstream) {
				u.token, u.number = fresh, 1002
				if lags {
					u.token, u.number = old, 1000
				}
			})
		}
		for range 4 { // some answers lag
			lag(true)
			time.Sleep(30 * time.Second)
			lag(false)
			time.Sleep(30 * time.Second)
			assert.Equal(t, fresh, tokenOf(t, groups[0]).Value)
		}
		lag(true) // every one does
		time.Sleep(40 * time.Second)
		assert.Equal(t, fresh, tokenOf(t, groups[0]).Value)
		time.Sleep(90 * time.Second)
		assert.Equal(t, old, tokenOf(t, groups[0]).Value)
		assert.Equal(t, old, tokenOf(t, groups[1]).Value)
	})
}

// While memcached fails, each sidecar asks for itself.
func TestUpstream_WithoutMemcached(t *testing.T) {
	withUpstream(t, 2, func(h *fixture, u *fakeUpstream, groups []*keeper.Group) {
		t := h.t
		old := tokenOf(t, groups[0]).Value
		time.Sleep(20 * time.Second)
		h.memcached.SetFault(memcachetest.Refuse)
		time.Sleep(time.Second)
		fresh := u.renew()
		time.Sleep(16 * time.Second)
		for _, group := range groups {
			assert.Equal(t, fresh, tokenOf(t, group).Value)
		}
		again, e := report(t.Context(), groups[1], fresh)
		assert.Nil(t, e)
		assert.NotEqual(t, fresh, again)
		assert.NotEqual(t, old, again)
		before, _ := u.asked()
		time.Sleep(100 * time.Second)
		after, _ := u.asked()
		assert.InDelta(t, 20, after-before, 6, "two sidecars, 10 to 13 s")
		h.memcached.SetFault(memcachetest.None)
		time.Sleep(20 * time.Second)
		assert.Equal(t, again, h.entry())
	})
}

// A read-only sidecar answers a report with another token if the upstream has one, and else
// refuses. It never reports.
func TestUpstream_ReadOnly(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		u := newUpstream()
		h.config.Upstream, h.config.ReadOnly = u, true
		group := h.another()
		require.NoError(t, group.SetAccounts([]keeper.Account{{AppID: "wx1"}}))
		old := tokenOf(t, group).Value
		time.Sleep(2 * time.Second)
		_, e := report(t.Context(), group, old)
		require.NotNil(t, e)
		assert.Equal(t, keeper.ReadOnly, e.Reason)
		assert.Equal(t, 403, e.Code)

		fresh := u.renew()
		time.Sleep(2 * time.Second)
		got, e := report(t.Context(), group, old)
		assert.Nil(t, e)
		assert.Equal(t, fresh, got, "without waiting for the next poll")
		before, reports := u.asked()
		assert.Zero(t, reports)
		for range 20 {
			_, e = report(t.Context(), group, fresh)
			require.NotNil(t, e)
		}
		after, _ := u.asked()
		assert.LessOrEqual(t, after-before, 1, "one question a second")

		time.Sleep(2 * time.Second)
		u.set(func(u *fakeUpstream) { u.fails = refused(-1, wechat.Later, 5*time.Second) })
		_, e = report(t.Context(), group, fresh)
		require.NotNil(t, e)
		assert.Equal(t, keeper.Unavailable, e.Reason, "nobody knows whether there is another one")
		assert.Equal(t, fresh, tokenOf(t, group).Value)
	})
}

// A sidecar whose bearer token is refused goes on when that is corrected.
func TestUpstream_BearerCorrected(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		u := newUpstream()
		h.config.Upstream = u
		group := h.another()
		u.set(func(u *fakeUpstream) { u.bearer, u.fails = "canarysecret-wrong", refused(401, wechat.Person, 0) })
		require.NoError(t, group.SetAccounts([]keeper.Account{{AppID: "wx1"}}))
		_, err := group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.Error(t, err)
		u.set(func(u *fakeUpstream) { u.bearer, u.fails = "canarysecret-right", nil })
		time.Sleep(16 * time.Second)
		assert.Equal(t, "canarytoken-up-00001", tokenOf(t, group).Value, "at the next poll, not after a minute")
	})
}

// A ticket comes from the upstream too, and needs no token here.
func TestUpstream_Ticket(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		u := newUpstream()
		h.config.Upstream = u
		group := h.another()
		require.NoError(t, group.SetAccounts([]keeper.Account{{
			AppID: "wx1", Tickets: []memcache.Kind{memcache.JSAPITicket},
		}}))
		grant, err := group.Token(t.Context(), "wx1", memcache.JSAPITicket)
		require.NoError(t, err)
		assert.Equal(t, 3500*time.Second, grant.ExpiresIn)
		fresh, err := group.Refresh(t.Context(), "wx1", memcache.JSAPITicket, grant.Value)
		require.NoError(t, err)
		assert.NotEqual(t, grant.Value, fresh.Value)
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, q := range u.questions {
			assert.Contains(t, []memcache.Kind{memcache.AccessToken, memcache.JSAPITicket}, q.Kind)
		}
	})
}

// unreachable is the failure of a question that was not sent.
func unreachable() error {
	return &wechat.Error{Code: -1, Message: "dial", Class: wechat.Transient, Unsent: true}
}

// An answer with the token that is held ends the wait after failures: the sidecar asks as before.
func TestUpstream_SameTokenEndsTheWait(t *testing.T) {
	withUpstream(t, 0, func(h *fixture, u *fakeUpstream, groups []*keeper.Group) {
		t := h.t
		h.config.ReadOnly = true // it asks in that wait if an app reports the token
		groups = append(groups, h.another())
		require.NoError(t, groups[0].SetAccounts([]keeper.Account{{AppID: "wx1"}}))
		time.Sleep(time.Minute)
		first := tokenOf(t, groups[0])
		u.set(func(u *fakeUpstream) { u.fails = unreachable() })
		time.Sleep(6 * time.Minute)
		require.Greater(t, time.Until(groups[0].States()[0].Retry), 30*time.Second)
		u.set(func(u *fakeUpstream) { u.fails = nil })
		_, _ = report(t.Context(), groups[0], first.Value)
		assert.Nil(t, groups[0].States()[0].Err)
		before, _ := u.asked()
		time.Sleep(time.Minute)
		after, _ := u.asked()
		assert.Greater(t, after, before)
	})
}

// A report whose question could not be sent is asked again when the wait of a second ends.
func TestUpstream_ReportWhileUnreachable(t *testing.T) {
	withUpstream(t, 1, func(h *fixture, u *fakeUpstream, groups []*keeper.Group) {
		t := h.t
		time.Sleep(time.Minute)
		first := tokenOf(t, groups[0])
		u.set(func(u *fakeUpstream) { u.fails = unreachable(); u.renewLocked() })
		time.AfterFunc(time.Second/2, func() { u.set(func(u *fakeUpstream) { u.fails = nil }) })
		began := time.Now()
		second, refused := report(t.Context(), groups[0], first.Value)
		require.Nil(t, refused)
		assert.NotEqual(t, memcache.Fingerprint(first.Value), memcache.Fingerprint(second))
		assert.Less(t, time.Since(began), 3*time.Second)
	})
}
