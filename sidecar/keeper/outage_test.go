package keeper_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// A memcached server that fails costs its accounts their entries, and the others nothing.
func TestOutage_OfOneServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"a:11211", "b:11211", "c:11211"}
		servers := map[string]*memcachetest.Server{}
		for _, name := range names {
			servers[name] = memcachetest.New()
			defer func() { _ = servers[name].Close() }()
		}
		store, err := memcache.New(memcache.Config{Servers: names, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return servers[address].Dial(ctx, network, address)
		}})
		require.NoError(t, err)
		defer func() { _ = store.Close() }()
		fake := wechattest.New()
		var accounts []keeper.Account
		on := map[string]string{} // the server of each account
		for i := range 30 {
			appID := fmt.Sprintf("wx%d", i)
			fake.AddAccount(appID, secret)
			accounts = append(accounts, account(appID))
			slot, err := store.Slot(appID, memcache.AccessToken)
			require.NoError(t, err)
			on[appID] = slot.Server()
		}
		transport, stop := fake.Pipe()
		defer stop()
		calls, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport})
		require.NoError(t, err)
		group := keeper.New(keeper.Config{Store: store, WeChat: calls})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			group.Run(ctx)
		}()
		require.NoError(t, group.SetAccounts(accounts))
		time.Sleep(time.Minute)

		servers["b:11211"].SetFault(memcachetest.Hang)
		time.Sleep(2 * time.Minute)
		outages := group.Outages()
		require.Len(t, outages, 1)
		assert.Equal(t, "b:11211", outages[0].Server)
		for _, state := range group.States() {
			assert.True(t, state.Valid, state.AppID)
			assert.Equal(t, on[state.AppID] != "b:11211", state.Published, state.AppID)
		}
		assert.Equal(t, 30, fake.Requests("", ""), "nothing was fetched anew")

		servers["b:11211"].Restart()
		servers["b:11211"].SetFault(memcachetest.None)
		time.Sleep(20 * time.Second)
		for _, state := range group.States() {
			assert.True(t, state.Published, state.AppID)
		}
		assert.Equal(t, 30, fake.Requests("", ""))
		cancel()
		<-ended
		group.Close(ctx)
	})
}

// WeChat was busy when the token fell due, and memcached fails just before its end:
// too lately for a token that lives to be fetched without it, so the renewal is put
// off. It must not be put off beyond the token's end.
func TestOutage_WaitEndsBeforeTheToken(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.SetExpiresIn(40 * time.Second)
		h.wechat.SetGrace(10 * time.Second)
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(15 * time.Second)
		h.wechat.FailAll(-1)
		time.Sleep(16 * time.Second)
		h.wechat.Heal()
		h.memcached.SetFault(memcachetest.Refuse)
		failed := 0
		for range 300 {
			time.Sleep(100 * time.Millisecond)
			grant, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
			if err != nil {
				failed++
				continue
			}
			assert.Zero(t, h.wechat.Accepts(grant.Value))
		}
		assert.Zero(t, failed, "reads without a token, of 300")
		assert.Positive(t, h.wechat.Requests("wx1", "stable_token"))
		h.memcached.SetFault(memcachetest.None)
	})
}

// Memcached answers again while a request without it is under way, which fails. The next one
// follows at once, with memcached, and not half a minute later.
func TestOutage_EndsDuringARequest(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.memcached.SetFault(memcachetest.Refuse)
		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer {
			return wechattest.Answer{Errcode: -1, Delay: 4 * time.Second}
		})
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(5500 * time.Millisecond)
		require.Equal(t, 1, h.wechat.Requests("wx1", "stable_token"))
		h.wechat.OnRequest(nil)
		h.memcached.SetFault(memcachetest.None)
		time.Sleep(6 * time.Second)
		assert.Equal(t, 1, h.wechat.Requests("wx1", "token"))
		assert.True(t, h.group.States()[0].Published)
	})
}

// A process that was paused while memcached fails finds that out once, and not at each read.
func TestOutage_AfterAPause(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		group := keeper.New(h.config) // it does not run: no poll is tried
		h.ends = append(h.ends, func() { group.Close(t.Context()) })
		require.NoError(t, group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(time.Minute)
		h.memcached.SetFault(memcachetest.Hang)
		waited := func() time.Duration {
			began := time.Now()
			_, err := group.Token(t.Context(), "wx1", memcache.AccessToken)
			require.NoError(t, err)
			return time.Since(began)
		}
		assert.Positive(t, waited())
		assert.Zero(t, waited())
	})
}

// Without memcached, too, a ticket with seconds left is served to its end, and the next request
// follows when it has ended, not half a minute after the last one.
func TestOutage_TicketNearItsEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.SetSameTicket()
		require.NoError(t, h.another().SetAccounts([]keeper.Account{withTicket("wx1")}))
		time.Sleep(2*time.Hour - 13*time.Second)
		for _, end := range h.ends {
			end()
		}
		h.ends = nil
		h.memcached.Flush()
		h.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "add" || c.Verb == "set" || c.Verb == "cas" {
				return memcachetest.ServerError
			}
			return memcachetest.None
		})
		defer h.memcached.OnCommand(nil)
		h.group = h.another()
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		time.Sleep(11 * time.Second) // token and ticket each wait for memcached first
		failed, before := 0, h.wechat.Requests("", "jsapi")
		for range 60 {
			time.Sleep(time.Second)
			if _, err := h.group.Token(t.Context(), "wx1", memcache.JSAPITicket); err != nil {
				failed++
			}
		}
		assert.LessOrEqual(t, failed, 5, "seconds without a ticket")
		assert.LessOrEqual(t, h.wechat.Requests("", "jsapi")-before, 2)
	})
}
