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

// keepMany adds the accounts wx1 to wx<n>.
func (h *fixture) keepMany(n int) {
	h.t.Helper()
	all := accounts(n)
	for _, a := range all {
		h.wechat.AddAccount(a.AppID, secret)
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

// A start makes 50 requests a second, after the first 50. A reader that waits goes
// past the queue.
func TestStart_PacedUnlessAwaited(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.keepMany(1000)
		time.Sleep(4 * time.Second)
		assert.InDelta(t, 249, h.wechat.Issues(""), 5)
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
func (h *fixture) callsAt() func() []time.Duration {
	var mu sync.Mutex
	var calls []time.Duration
	began := time.Now()
	h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer {
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

// All sidecars together make one request for an account, and each keeps its own pace.
func TestStart_OneRequestPerAccount(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		calls := h.callsAt()
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
		assert.Len(t, all, 250, "one request for an account")
		assert.Less(t, all[len(all)-1], 10*time.Second, "no sidecar waits for the others")
	})
}

// Earlier versions counted the requests of all sidecars under *:pace.
func TestStart_IgnoresAValueAtTheFormerPaceKey(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		var asked atomic.Int64
		h.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if slices.Contains(c.Keys, "*:pace") {
				asked.Add(1)
			}
			return memcachetest.None
		})
		h.memcached.Put("*:pace", "1000000", 0, 0)
		h.keepMany(100)
		time.Sleep(3 * time.Second)
		assert.Equal(t, 100, h.wechat.Issues(""), "fetched at the usual pace")
		time.Sleep(2 * time.Hour)
		for i := range 100 {
			assert.GreaterOrEqual(t, h.wechat.Issues(fmt.Sprintf("wx%d", i+1)), 3, "renewed in time")
		}
		assert.Zero(t, asked.Load(), "no sidecar uses the key")
	})
}

func TestStart_RemovedAccountLeavesTheQueue(t *testing.T) {
	inBubble(t, func(h *fixture) {
		h.keepMany(1000)
		time.Sleep(time.Second)
		require.NoError(h.t, h.group.SetAccounts(accounts(10)))
		before := h.memcached.Count("add")
		time.Sleep(time.Minute)
		assert.Less(h.t, h.memcached.Count("add")-before, 5*(32+10), "leases of the renewals under way, and of the accounts that are left")
		assert.Less(h.t, h.wechat.Issues(""), 150)
	})
}

// A ticket is fetched with the account's token, so tokens queue first: a ticket that
// needs a token takes it past the queue.
func TestStart_TicketsQueueAfterTokens(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		calls := h.callsAt()
		all := accounts(150)
		for i := range all {
			h.wechat.AddAccount(all[i].AppID, secret)
			all[i].Tickets = []memcache.Kind{memcache.JSAPITicket}
		}
		require.NoError(t, h.group.SetAccounts(all))
		time.Sleep(time.Minute)
		times := calls()
		assert.Len(t, times, 300, "a token and a ticket each")
		for i := range times[:len(times)-100] {
			assert.GreaterOrEqual(t, times[i+100]-times[i], time.Second, "101 requests within a second")
		}
	})
}

func TestStart_StoppedSidecarLeavesItsQueue(t *testing.T) {
	inBubble(t, func(h *fixture) {
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

func TestStart_LogsItsProgress(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
			if r.AppID == "wx7" {
				return wechattest.Answer{Errcode: 40125}
			}
			return wechattest.Answer{}
		})
		h.keepMany(2000)
		time.Sleep(16 * time.Second)
		logs := h.logs.String()
		assert.Contains(t, logs, "initial fetch in progress")
		assert.Contains(t, logs, `"waiting":1`, "of more than a thousand")
		time.Sleep(time.Minute)
		logs = h.logs.String()
		assert.Contains(t, logs, `"msg":"initial fetch finished","held":1999,"failed":1`)
		lines := strings.Count(logs, "initial fetch finished")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, lines, strings.Count(h.logs.String(), "initial fetch finished"), "logged once")
	})
}

func TestStart_OneAccountLogsNoProgress(t *testing.T) {
	inBubble(t, func(h *fixture) {
		require.NoError(h.t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(time.Minute)
		assert.NotContains(h.t, h.logs.String(), "fetched or tried")
	})
}

// A sidecar that adopts at its start knows at once that the token is published.
func TestStart_AdoptedIsPublished(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: time.Second} })
		other := h.another()
		for _, group := range []*keeper.Group{h.group, other} {
			require.NoError(t, group.SetAccounts([]keeper.Account{account("wx1")}))
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		assert.True(t, h.group.States()[0].Published)
		assert.True(t, other.States()[0].Published, "/startupz waits for it")
		assert.Equal(t, 1, h.wechat.Requests("", ""))
	})
}

// While WeChat fails, the entry does not expire, and is written once a minute.
func TestEntry_DuringAnOutageOfWeChat(t *testing.T) {
	inBubble(t, func(h *fixture) {
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
		assert.Less(t, h.memcached.Count("gets")-asked, 430, "otherwise the cooldown is read at every poll: 540")
		time.Sleep(45 * time.Minute)
		version()
		h.wechat.Heal()
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 2, h.wechat.Issues("wx1"))
	})
}
