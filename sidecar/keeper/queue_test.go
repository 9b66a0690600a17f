package keeper_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// keepMany has the house keep wx1 to wx<n>.
func (h *house) keepMany(n int) {
	h.t.Helper()
	all := accounts(n)
	for _, a := range all {
		h.wechat.AddAccount(a.AppID, simSecret)
	}
	require.NoError(h.t, h.group.SetAccounts(all))
}

// accounts are wx1 to wx<n>.
func accounts(n int) (all []keeper.Account) {
	for i := range n {
		all = append(all, account(fmt.Sprintf("wx%d", i+1)))
	}
	return all
}

func TestAStartWithManyAccountsCallsFiftyTimesASecondAndWhoWaitsGoesFirst(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		h.keepMany(1000)
		time.Sleep(4 * time.Second)
		assert.InDelta(t, 200, h.wechat.Issues(""), 25)
		start, before := time.Now(), h.wechat.Issues("")
		for _, state := range h.group.States() {
			if !state.Valid {
				_, err := h.group.Token(t.Context(), state.AppID, memcache.AccessToken)
				require.NoError(t, err)
				break
			}
		}
		assert.Less(t, time.Since(start), 100*time.Millisecond, "it did not queue")
		assert.LessOrEqual(t, h.wechat.Issues("")-before, 10, "the others did")
		time.Sleep(20 * time.Second)
		assert.Equal(t, 1000, h.wechat.Issues(""))
	})
}

// callsAt has WeChat note when it is called.
func (h *house) callsAt() func() []time.Duration {
	var mu sync.Mutex
	var calls []time.Duration
	began := time.Now()
	h.wechat.OnCall(func(wechattest.Call) wechattest.Answer {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, time.Since(began))
		return wechattest.Answer{Delay: 100 * time.Millisecond}
	})
	return func() []time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(calls)
	}
}

// pacedBy is how often memcached was asked for room in the fleet's pace.
func (h *house) pacedBy() func() int {
	var asked atomic.Int64
	h.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
		if c.Verb == "incr" && slices.Equal(c.Keys, []string{"*:pace"}) {
			asked.Add(1)
		}
		return memcachetest.None
	})
	return func() int { return int(asked.Load()) }
}

func TestSidecarsThatStartTogetherCallFiftyTimesASecondTogetherWhateverTheirClocksSay(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		calls, asked := h.callsAt(), h.pacedBy()
		fleet := []*keeper.Group{h.group}
		for i := range 4 {
			ahead := time.Duration(2*i-3) * 2 * time.Second
			h.config.Wall = func() time.Time { return time.Now().Add(ahead) }
			fleet = append(fleet, h.another())
		}
		h.keepMany(250)
		for _, group := range fleet[1:] {
			require.NoError(t, group.SetAccounts(accounts(250)))
		}
		time.Sleep(30 * time.Second)
		all := calls()
		assert.Len(t, all, 250, "one call for an account")
		for i := range all[:len(all)-100] {
			assert.GreaterOrEqual(t, all[i+100]-all[i], time.Second, "101 calls within a second")
		}
		assert.Less(t, all[len(all)-1], 10*time.Second, "and no slower than need be")
		assert.Less(t, asked(), 250+5*renewalsAtATime+10*50, "who was refused keeps away")
	})
}

// renewalsAtATime is how many renewals of a sidecar run that nobody waits for.
const renewalsAtATime = 32

func TestFewAccountsAndPlannedRenewalsAskTheFleetForNothing(t *testing.T) {
	inHouse(t, func(h *house) {
		asked := h.pacedBy()
		h.keepMany(50)
		time.Sleep(2 * time.Hour)
		assert.Zero(h.t, asked())
		h.keepMany(51)
		time.Sleep(time.Minute)
		assert.Equal(h.t, 2, asked(), "the new one; the first of a second must add the number")
		time.Sleep(2 * time.Hour)
		assert.Equal(h.t, 2, asked())
	})
}

func TestAPaceThatMemcachedCannotCountIsTheSidecarsOwn(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		calls := h.callsAt()
		h.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if slices.Equal(c.Keys, []string{"*:pace"}) {
				return memcachetest.ServerError
			}
			return memcachetest.None
		})
		h.keepMany(500)
		time.Sleep(20 * time.Second)
		all := calls()
		assert.Len(t, all, 500)
		assert.InDelta(t, 9, all[len(all)-1].Seconds(), 1, "fifty at once, then fifty a second")
	})
}

func TestAPaceThatNeverHasRoomOnlyDelays(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		h.memcached.Put("*:pace", "1000", 0, 0) // by hand, without an end
		h.keepMany(100)
		time.Sleep(time.Minute)
		assert.Zero(t, h.wechat.Issues(""))
		start := time.Now()
		_, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		assert.Less(t, time.Since(start), 100*time.Millisecond, "who waits goes past it")
		time.Sleep(30 * time.Second)
		assert.Equal(t, 100, h.wechat.Issues(""))
	})
}

func TestAPaceThatNeverHasRoomHoldsUpNothingThatWasPlanned(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		const early = 60
		h.keepMany(early)
		time.Sleep(54 * time.Minute)
		require.Equal(t, early, h.wechat.Issues(""))
		h.memcached.Put("*:pace", "1000000", 0, 0) // by hand, without an end
		h.keepMany(2000)
		time.Sleep(2 * time.Minute)
		for i := range early {
			assert.Equal(t, 2, h.wechat.Issues(fmt.Sprintf("wx%d", i+1)), "renewed at its time")
		}
		assert.Equal(t, 2*early, h.wechat.Issues(""), "and nothing else")
		time.Sleep(90 * time.Second)
		assert.Equal(t, 2000+early, h.wechat.Issues(""), "all others once they have waited for long enough")
	})
}

// Four thousand overdue accounts take 80 s. One whose answer is lost is in doubt, and
// called again within a minute: the token in use dies soon.
func TestADoubtIsPaidBeforeWhatIsOverdue(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		const many = 4000
		h.keepMany(many)
		time.Sleep(3 * time.Minute)
		require.Equal(t, many, h.wechat.Issues(""))
		require.NoError(t, h.group.SetAccounts(nil))
		time.Sleep(70 * time.Minute) // nobody renews; the records live
		var mu sync.Mutex
		var calls int
		var victim string
		var lost, again time.Time
		h.wechat.OnCall(func(c wechattest.Call) wechattest.Answer {
			mu.Lock()
			defer mu.Unlock()
			calls++
			switch {
			case calls == 20:
				victim, lost = c.AppID, time.Now()
				return wechattest.Answer{Kind: wechattest.IssuedNoAnswer}
			case c.AppID == victim && again.IsZero():
				again = time.Now()
			}
			return wechattest.Answer{}
		})
		require.NoError(t, h.group.SetAccounts(accounts(many)))
		time.Sleep(2 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, many+1, calls)
		assert.Less(t, again.Sub(lost), 70*time.Second)
	})
}

func TestAnAccountThatIsRemovedLeavesTheQueue(t *testing.T) {
	inHouse(t, func(h *house) {
		h.keepMany(1000)
		time.Sleep(time.Second)
		require.NoError(h.t, h.group.SetAccounts(accounts(10)))
		before := h.memcached.Count("add")
		time.Sleep(time.Minute)
		assert.Less(h.t, h.memcached.Count("add")-before, 5*(renewalsAtATime+10), "leases of those under way, and of those that are kept")
		assert.Less(h.t, h.wechat.Issues(""), 150)
	})
}

func TestTicketsDoNotPullTheirTokensPastThePace(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		calls := h.callsAt()
		all := accounts(150)
		for i := range all {
			h.wechat.AddAccount(all[i].AppID, simSecret)
			all[i].Tickets = []memcache.Kind{memcache.JSAPITicket}
		}
		for _, group := range []*keeper.Group{h.group, h.another(), h.another(), h.another()} {
			require.NoError(t, group.SetAccounts(all))
		}
		time.Sleep(2 * time.Minute)
		times := calls()
		assert.Len(t, times, 300, "a token and a ticket each")
		for i := range times[:len(times)-100] {
			assert.GreaterOrEqual(t, times[i+100]-times[i], time.Second, "101 calls within a second")
		}
	})
}

func TestASidecarThatStopsLeavesItsQueue(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		h.keepMany(1000)
		time.Sleep(time.Second)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		h.group.Close(ctx)
		assert.Less(t, time.Since(start), 100*time.Millisecond)
		assert.Less(t, h.wechat.Issues(""), 150)
	})
}

func TestAStartWithManyAccountsSaysHowFarItIs(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		h.wechat.OnCall(func(c wechattest.Call) wechattest.Answer {
			if c.AppID == "wx7" {
				return wechattest.Answer{Errcode: 40125}
			}
			return wechattest.Answer{}
		})
		h.keepMany(2000)
		time.Sleep(16 * time.Second)
		logs := h.logs.String()
		assert.Contains(t, logs, "fetching what memcached does not hold")
		assert.Contains(t, logs, `"waiting":1`, "of more than a thousand")
		time.Sleep(time.Minute)
		logs = h.logs.String()
		assert.Contains(t, logs, `"msg":"everything has been fetched or tried","held":1999,"failed":1`)
		lines := strings.Count(logs, "everything has been fetched")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, lines, strings.Count(h.logs.String(), "everything has been fetched"), "told once")
	})
}

func TestAStartWithOneAccountHasNothingToSay(t *testing.T) {
	inHouse(t, func(h *house) {
		require.NoError(h.t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(time.Minute)
		assert.NotContains(h.t, h.logs.String(), "fetched or tried")
	})
}

func TestWhoAdoptsAtItsStartKnowsAtOnceThatItIsPublished(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		h.wechat.OnCall(func(wechattest.Call) wechattest.Answer { return wechattest.Answer{Delay: time.Second} })
		other := h.another()
		for _, group := range []*keeper.Group{h.group, other} {
			require.NoError(t, group.SetAccounts([]keeper.Account{account("wx1")}))
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		assert.True(t, h.group.States()[0].Published)
		assert.True(t, other.States()[0].Published, "/startupz waits for it")
		assert.Equal(t, 1, h.wechat.Calls("", ""))
	})
}

func TestAnEntryOutlivesAnOutageOfWeChatAndIsWrittenOnceAMinute(t *testing.T) {
	inHouse(t, func(h *house) {
		t := h.t
		fleet := []*keeper.Group{h.group, h.another(), h.another(), h.another()}
		for _, group := range fleet {
			require.NoError(t, group.SetAccounts([]keeper.Account{account("wx1")}))
		}
		time.Sleep(54 * time.Minute)
		h.wechat.FailAll(-1)
		time.Sleep(3 * time.Minute)
		version := func() uint64 {
			item, ok := h.memcached.Peek("wx1")
			assert.True(t, ok, "the entry is there")
			return item.CAS
		}
		writes, asked, last := 0, h.memcached.Count("gets"), version()
		for range 600 {
			time.Sleep(time.Second)
			if now := version(); now != last {
				writes, last = writes+1, now
			}
		}
		assert.InDelta(t, 9, writes, 2, "in ten minutes, by four sidecars")
		assert.Less(t, h.memcached.Count("gets")-asked, 430, "nobody asks for the wait at every look: 540 then")
		time.Sleep(45 * time.Minute)
		version()
		h.wechat.Heal()
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 2, h.wechat.Issues("wx1"))
	})
}
