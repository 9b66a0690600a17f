package keeper_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
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

// ofThree is ofOne for three sidecars.
func (h *fixture) ofThree(api wechat.API) []*keeper.Group {
	h.ofOne(api)
	groups := []*keeper.Group{h.group, h.another(), h.another()}
	for _, group := range groups[1:] {
		require.NoError(h.t, group.SetAccounts([]keeper.Account{account("wx1")}))
	}
	return groups
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

// assertRefused asserts that a report was answered with 429, and this message.
func assertRefused(t *testing.T, e *keeper.Error, message string) {
	t.Helper()
	require.NotNil(t, e)
	assert.Equal(t, keeper.Budget, e.Reason)
	assert.Equal(t, 429, e.Code)
	assert.Equal(t, 31*time.Second, e.RetryAfter)
	assert.Equal(t, message, e.Message)
}

const (
	stillAccepted = "WeChat still accepts the reported credential"
	tooSoon       = "the last report was less than 31 s ago"
)

// throttled is longer than the mark report_throttle lives.
const throttled = 33 * time.Second

// The first report of an account leads to a renewal. From the second in ten minutes on,
// the token is checked first: a valid one is not renewed, and an invalid one is.
func TestReport_SecondIsChecked(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.ofOne(wechat.Token)
		first := h.token()
		second, refused := report(t.Context(), h.group, first)
		require.Nil(t, refused, "the first report")
		assert.Zero(t, h.wechat.Checks())
		for n := 1; n <= 3; n++ {
			time.Sleep(throttled)
			began := time.Now()
			_, refused = report(t.Context(), h.group, second)
			assertRefused(t, refused, stillAccepted)
			assert.Zero(t, time.Since(began))
			assert.Equal(t, n, h.wechat.Checks())
		}
		assert.Equal(t, 2, h.wechat.Issues("wx1"))
		assert.Equal(t, 3, strings.Count(h.logs.String(), "reported token is still valid"))
		counts := h.group.States()[0].Counts
		assert.Equal(t, keeper.Checks{Accepted: 3}, counts.Checks)
		assert.EqualValues(t, 1, counts.Reports, "one led to a renewal")
		assert.Empty(t, counts.Failed)

		time.Sleep(throttled)
		h.wechat.FetchExternally("wx1")
		h.wechat.FetchExternally("wx1")
		third, refused := report(t.Context(), h.group, second)
		require.Nil(t, refused, "WeChat refuses it")
		assert.Zero(t, h.wechat.Accepts(third))
		assert.Equal(t, keeper.Checks{Accepted: 3, Refused: 1}, h.group.States()[0].Counts.Checks)

		time.Sleep(9 * time.Minute)
		_, refused = report(t.Context(), h.group, third)
		assertRefused(t, refused, stillAccepted)
		time.Sleep(10*time.Minute + time.Second)
		_, refused = report(t.Context(), h.group, third)
		require.Nil(t, refused, "ten minutes after the last one it is the first again")
		assert.Equal(t, 5, h.wechat.Checks())
	})
}

// twice has a token reported and renewed, so that the next report is the second. It returns
// the new token.
func (h *fixture) twice() string {
	second, refused := report(h.t.Context(), h.group, h.token())
	require.Nil(h.t, refused)
	time.Sleep(throttled)
	return second
}

// Unless WeChat says that it accepts the token, the second report leads to a renewal, after
// two seconds at most.
func TestReport_AnyOtherAnswerRenews(t *testing.T) {
	t.Parallel()
	for _, answer := range []wechattest.Answer{
		{Errcode: 40001},
		{Errcode: 48001},
		{Errcode: 45009},
		{Errcode: -1},
		{Kind: wechattest.HTML},
		{Kind: wechattest.Hang},
		{Kind: wechattest.Reset},
		{Delay: 3 * time.Second},
		{Kind: wechattest.Raw, Body: "{}"},
	} {
		inBubble(t, func(h *fixture) {
			t := h.t
			h.ofOne(wechat.Token)
			second := h.twice()
			h.wechat.OnCheck(func(int) wechattest.Answer { return answer })
			began := time.Now()
			third, refused := report(t.Context(), h.group, second)
			require.Nil(t, refused, "%+v", answer)
			assert.NotEqual(t, memcache.Fingerprint(second), memcache.Fingerprint(third))
			assert.LessOrEqual(t, time.Since(began), 2*time.Second)
			assert.Equal(t, 1, h.wechat.Checks(), "once")
		})
	}
}

// All sidecars answer at once to reports of a token that one of them has checked, or that
// none of them renews.
func TestReport_TooSoonIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.ofOne(wechat.Token)
		other := h.another()
		require.NoError(t, other.SetAccounts([]keeper.Account{account("wx1")}))
		answers := func(token, message string) {
			t.Helper()
			for range 3 {
				for _, group := range []*keeper.Group{h.group, other} {
					began := time.Now()
					_, refused := report(t.Context(), group, token)
					assertRefused(t, refused, message)
					assert.Zero(t, time.Since(began))
				}
			}
		}
		time.Sleep(20 * time.Second)
		second, _ := report(t.Context(), h.group, h.token())
		answers(second, tooSoon)
		time.Sleep(throttled)
		answers(second, stillAccepted)
		assert.Equal(t, 1, h.wechat.Checks())

		time.Sleep(throttled)
		h.memcached.Put("wx1:report_throttle", memcache.Fingerprint(second)+" "+memcache.NewID(), 0, 31) // its owner was killed
		began := time.Now()
		_, refused := report(t.Context(), other, second)
		assertRefused(t, refused, tooSoon)
		assert.InDelta(t, 3.5, time.Since(began).Seconds(), 0.5, "its owner may still check it")
		began = time.Now()
		_, refused = report(t.Context(), other, second)
		assertRefused(t, refused, tooSoon)
		assert.Zero(t, time.Since(began), "this sidecar has waited before")
	})
}

// Reports that come while the token is checked are answered with the result, in every sidecar.
func TestReport_WhileAnotherIsChecked(t *testing.T) {
	t.Parallel()
	for _, valid := range []bool{true, false} {
		inBubble(t, func(h *fixture) {
			t := h.t
			groups := h.ofThree(wechat.Token)
			second := h.twice()
			if !valid {
				h.wechat.FetchExternally("wx1")
				h.wechat.FetchExternally("wx1")
			}
			h.wechat.OnCheck(func(int) wechattest.Answer { return wechattest.Answer{Delay: 1900 * time.Millisecond} })
			var all sync.WaitGroup
			for _, group := range groups {
				for range 4 {
					all.Go(func() {
						token, refused := report(t.Context(), group, second)
						if valid {
							assertRefused(t, refused, stillAccepted)
						} else if assert.Nil(t, refused) {
							assert.Zero(t, h.wechat.Accepts(token))
						}
					})
				}
			}
			began := time.Now()
			all.Wait()
			assert.Less(t, time.Since(began), 2500*time.Millisecond)
			assert.Equal(t, 1, h.wechat.Checks())
		})
	}
}

// No request is made to check a ticket, or what an external token in the entry proves. A
// report waits for a renewal that runs.
func TestReport_NeverChecked(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.group = h.another()
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		h.twice()
		h.memcached.Put("wx1", h.wechat.FetchExternally("wx1"), 0, 3600)
		time.Sleep(16 * time.Second)
		assert.Equal(t, 3, h.wechat.Issues("wx1"), "renewed")
		for range 3 {
			time.Sleep(throttled)
			first, _ := h.ticket()
			h.wechat.VoidTickets("wx1")
			_, err := h.group.Refresh(t.Context(), "wx1", memcache.JSAPITicket, first.Value)
			require.NoError(t, err)
		}
		assert.Zero(t, h.wechat.Checks())

		time.Sleep(throttled)
		token := h.token()
		h.memcached.Put("wx1:lease", "another sidecar", 0, 3)
		began := time.Now()
		_, refused := report(t.Context(), h.group, token)
		assertRefused(t, refused, stillAccepted)
		assert.Equal(t, 1, h.wechat.Checks())
		assert.Greater(t, time.Since(began), time.Second, "not while another sidecar renews")
	})
}

// A sidecar that is off the whitelist hands a report over, and tries again after 20 s, 40 s and so
// on. Reports in such a wait send no request: only the others can renew. Nor does a report of a
// token that nobody here knows.
func TestReport_HandedOverOnceInAWait(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.ofOne(wechat.Token)
		first := h.token()
		h.wechat.FailAll(40164)
		before := h.wechat.Requests("", "")
		began := time.Now()
		refusedBy := func(second time.Duration) {
			t.Helper()
			_, refused := report(t.Context(), h.group, first)
			require.NotNil(t, refused)
			assert.Equal(t, 40164, refused.Code)
			next := time.Until(began.Add(second * time.Second))
			assert.InDelta(t, next.Seconds(), refused.RetryAfter.Seconds(), 3, "until it tries again")
		}
		refusedBy(20)
		assert.Equal(t, before+1, h.wechat.Requests("", ""))
		time.Sleep(time.Until(began.Add(25 * time.Second)))
		for range 2 {
			refusedBy(60)
			_, refused := report(t.Context(), h.group, "canarytoken-of-another")
			require.Nil(t, refused)
		}
		assert.Equal(t, before+2, h.wechat.Requests("", ""))
		h.wechat.Heal()
		time.Sleep(time.Until(began.Add(62 * time.Second)))
		assert.NotEqual(t, memcache.Fingerprint(first), memcache.Fingerprint(h.token()), "it tries again after the wait")
		assert.Equal(t, before+3, h.wechat.Requests("", ""))
	})
}

// Whatever fails meanwhile, a report in that wait is answered with why it was handed over.
func TestReport_HandedOverForThatReason(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.ofOne(wechat.Token)
		first := h.token()
		h.wechat.FailAll(40164)
		began := time.Now()
		_, refused := report(t.Context(), h.group, first)
		require.NotNil(t, refused)
		time.Sleep(time.Until(began.Add(25 * time.Second))) // it has tried again, and waits for 40 s
		var failed atomic.Bool
		h.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if slices.Contains(c.Keys, "wx1:lease") && failed.CompareAndSwap(false, true) {
				return memcachetest.ServerError
			}
			return memcachetest.None
		})
		_, refused = report(t.Context(), h.group, first)
		require.NotNil(t, refused)
		require.True(t, failed.Load())
		at := h.group.States()[0].Failed
		for time.Until(began.Add(46*time.Second)) > 0 {
			_, refused = report(t.Context(), h.group, first)
			require.NotNil(t, refused)
			assert.Equal(t, 40164, refused.Code)
		}
		assert.Equal(t, at, h.group.States()[0].Failed, "nothing was tried")
	})
}

// A report that waits for the others gets their answer, also if that is the same token again.
func TestReport_HandedOverAndStillValid(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.config.Rand = func() float64 { return 1 } // polls are 15 s apart
		h.ofOne(wechat.StableToken)
		first := h.token()
		time.Sleep(7 * time.Second)
		other := h.another()
		require.NoError(t, other.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(15500 * time.Millisecond)
		h.onlyFirst(wechattest.Answer{Errcode: 40164})
		_, refused := report(t.Context(), h.group, first)
		require.NotNil(t, refused)
		assert.Equal(t, 40164, refused.Code)
		_, refused = report(t.Context(), h.group, first) // meanwhile the other one polls, and renews
		assertRefused(t, refused, stillAccepted)
		assert.Nil(t, h.group.States()[0].Err)
	})
}

// A sidecar that waits after a failure of its own does not take over at once what another one
// hands over. A report that it owns makes it try.
func TestReport_HandedOverDuringAnotherWait(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.ofOne(wechat.Token)
		first := h.token()
		h.wechat.FailAll(40164)
		for h.wechat.Requests("", "") == 1 { // the renewal that is due fails
			time.Sleep(time.Second)
		}
		var r memcache.Record
		item, _ := h.memcached.Peek("wx1:record")
		require.NoError(t, json.Unmarshal([]byte(item.Value), &r))
		r.Number, r.Reported = r.Number+1, memcache.Fingerprint(first)
		written, err := json.Marshal(r)
		require.NoError(t, err)
		h.memcached.Put("wx1:record", string(written), 0, 3600)
		h.memcached.Put("wx1:report_throttle", r.Reported+" "+memcache.NewID(), 0, 31)
		_, refused := report(t.Context(), h.group, first)
		assertRefused(t, refused, tooSoon)
		assert.Equal(t, 2, h.wechat.Requests("", ""), "it leaves that to others")
		h.memcached.Evict("wx1:report_throttle")
		_, refused = report(t.Context(), h.group, first)
		require.NotNil(t, refused)
		assert.Equal(t, 40164, refused.Code)
		assert.Equal(t, 3, h.wechat.Requests("", ""), "this report is its own")
	})
}

// onlyFirst answers the next request so. A force_refresh is refused, so that stable_token has the
// same token again.
func (h *fixture) onlyFirst(answer wechattest.Answer) {
	var mu sync.Mutex
	answered := false
	h.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case !answered:
			answered = true
			return answer
		case r.Force:
			return wechattest.Answer{Errcode: 45009}
		}
		return wechattest.Answer{}
	})
}

// A sidecar that waits for the owner of a report renews at once when that one hands it over.
func TestReport_TakenOverAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.ofOne(wechat.Token)
		other := h.another()
		require.NoError(t, other.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(20 * time.Second)
		first := h.token()
		h.onlyFirst(wechattest.Answer{Errcode: 40164, Delay: 100 * time.Millisecond})
		began := time.Now()
		var all sync.WaitGroup
		for _, group := range []*keeper.Group{h.group, other} {
			all.Go(func() {
				second, refused := report(t.Context(), group, first)
				require.Nil(t, refused)
				assert.Zero(t, h.wechat.Accepts(second))
			})
			time.Sleep(time.Millisecond)
		}
		all.Wait()
		assert.Less(t, time.Since(began), time.Second)
	})
}

// Of two sidecars that take a report over, the second finds that it has been answered, also if
// that is the same token again.
func TestReport_TakenOverByTwo(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		groups := h.ofThree(wechat.StableToken)
		first := h.token()
		time.Sleep(20 * time.Second)
		h.onlyFirst(wechattest.Answer{Errcode: 40164, Delay: 100 * time.Millisecond})
		var leases atomic.Int32
		h.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "add" && c.Keys[0] == "wx1:lease" && leases.Add(1) == 2 {
				time.Sleep(150 * time.Millisecond) // less than its time-out; meanwhile the third sidecar renews
			}
			return memcachetest.None
		})
		before := h.wechat.Requests("", "")
		var all sync.WaitGroup
		for _, group := range groups {
			all.Go(func() {
				_, refused := report(t.Context(), group, first)
				assertRefused(t, refused, stillAccepted)
			})
			time.Sleep(time.Millisecond)
		}
		all.Wait()
		assert.Equal(t, before+3, h.wechat.Requests("", ""), "one that fails, one that brings the same token, and its force_refresh")
	})
}
