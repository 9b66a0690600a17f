package keeper_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// withTicket is an account that keeps a jsapi_ticket.
func withTicket(appID string) keeper.Account {
	a := account(appID)
	a.Tickets = []memcache.Kind{memcache.JSAPITicket}
	return a
}

// ticket asks for the jsapi_ticket of wx1, and says whether WeChat accepts it.
func (h *fixture) ticket() (grant keeper.Grant, accepted bool) {
	h.t.Helper()
	grant, err := h.group.Token(h.t.Context(), "wx1", memcache.JSAPITicket)
	require.NoError(h.t, err)
	return grant, h.wechat.AcceptsTicket(grant.Value) == 0
}

// refusal is why there is no jsapi_ticket of wx1.
func (h *fixture) refusal() *keeper.Error {
	h.t.Helper()
	_, err := h.group.Token(h.t.Context(), "wx1", memcache.JSAPITicket)
	var refused *keeper.Error
	require.ErrorAs(h.t, err, &refused)
	return refused
}

// answerTickets has every call for a ticket answered so.
func (h *fixture) answerTickets(answer wechattest.Answer) {
	h.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
		if r.API == "jsapi" {
			return answer
		}
		return wechattest.Answer{}
	})
}

// A ticket is renewed with the account's token.
func TestTicket_BesideTheToken(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1"), account("wx2")}))
		grant, accepted := h.ticket()
		assert.True(t, accepted)
		assert.Equal(t, 55*time.Minute, grant.ExpiresIn, "no longer than until it is due")
		item, ok := h.memcached.Peek("wx1:jsapi_ticket")
		require.True(t, ok)
		same := item.Value == grant.Value
		assert.True(t, same, "the entry is the ticket")
		assert.Zero(t, item.Flags)
		_, recorded := h.memcached.Peek("wx1:jsapi_ticket:record")
		assert.True(t, recorded)
		_, others := h.memcached.Peek("wx2:jsapi_ticket")
		assert.False(t, others, "only the account that has one")

		for range 24 * 60 {
			time.Sleep(time.Minute)
			_, accepted := h.ticket()
			require.True(t, accepted)
		}
		assert.Contains(t, []int{26, 27}, h.wechat.Requests("wx1", "jsapi"), "one in 55 minutes")
		assert.Contains(t, []int{26, 27}, h.wechat.Requests("wx1", "token"), "as for the token")
		assert.Zero(t, h.wechat.Requests("wx1", "wx_card"))
	})
}

// All sidecars together fetch a ticket once.
func TestTicket_OneRequestForAllSidecars(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		all := []*keeper.Group{h.group, h.another(), h.another(), h.another()}
		for _, group := range all {
			require.NoError(t, group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		}
		time.Sleep(12 * time.Hour)
		calls := h.wechat.Requests("", "jsapi")
		assert.Contains(t, []int{13, 14}, calls)
		for _, group := range all {
			grant, err := group.Token(t.Context(), "wx1", memcache.JSAPITicket)
			require.NoError(t, err)
			assert.Zero(t, h.wechat.AcceptsTicket(grant.Value))
		}
	})
}

// A reported ticket is renewed once.
func TestTicket_ReportedIsRenewedOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		first, _ := h.ticket()
		h.wechat.VoidTickets("wx1")
		answers := make(chan keeper.Grant, 16)
		for range cap(answers) {
			go func() {
				grant, err := h.group.Refresh(t.Context(), "wx1", memcache.JSAPITicket, first.Value)
				assert.NoError(t, err)
				answers <- grant
			}()
		}
		for range cap(answers) {
			assert.Zero(t, h.wechat.AcceptsTicket((<-answers).Value))
		}
		assert.Equal(t, 2, h.wechat.Requests("", "jsapi"))
		assert.Equal(t, 1, h.wechat.Requests("", "token"), "the token had nothing to do with it")
		assert.Contains(t, h.logs.String(), "ticket reported as invalid")

		second, _ := h.ticket()
		_, err := h.group.Refresh(t.Context(), "wx1", memcache.JSAPITicket, second.Value)
		var refused *keeper.Error
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, keeper.Budget, refused.Reason, "once in 31 s")
	})
}

// A token that WeChat refuses for a ticket is renewed, and the request repeated.
func TestTicket_TokenRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		_, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		h.wechat.FetchExternally("wx1")
		time.Sleep(301 * time.Second)

		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		_, accepted := h.ticket()
		assert.True(t, accepted)
		assert.Equal(t, 2, h.wechat.Requests("", "jsapi"), "refused, and repeated")
		assert.Equal(t, 2, h.wechat.Requests("", "token"), "renewed in between")
		_, held := h.memcached.Peek("wx1:jsapi_ticket:lease")
		assert.False(t, held, "the lease is given back")
	})
}

// A ticket that is refused with every token costs one token in 50 minutes.
func TestTicket_EveryTokenRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.answerTickets(wechattest.Answer{Errcode: 40001})
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		synctest.Wait()
		refused := h.refusal()
		assert.Equal(t, keeper.Refused, refused.Reason)
		assert.Equal(t, 40001, refused.Code)
		assert.Equal(t, hint.ExternalTicket, refused.Hint)
		assert.Equal(t, 2, h.wechat.Requests("", "token"), "one report")
		time.Sleep(49 * time.Minute)
		assert.Equal(t, 2, h.wechat.Requests("", "token"), "and no further one")
		for _, state := range h.group.States() {
			assert.Equal(t, state.Kind == memcache.AccessToken, state.Valid)
		}

		h.wechat.OnRequest(nil)
		time.Sleep(3 * time.Minute)
		_, accepted := h.ticket()
		assert.True(t, accepted, "it heals by itself")
	})
}

// A ticket without a token fails for the token's reason.
func TestTicket_WithoutAToken(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.FailAll(40164)
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		synctest.Wait()
		refused := h.refusal()
		assert.Equal(t, keeper.Refused, refused.Reason)
		assert.Equal(t, 40164, refused.Code)
		assert.Contains(t, refused.Message, "no access_token to fetch the ticket with: invalid ip "+wechattest.EgressIP)
		assert.Contains(t, refused.Hint.English, wechattest.EgressIP)
		assert.Zero(t, h.wechat.Requests("", "jsapi"))
		h.wechat.Heal()
		time.Sleep(90 * time.Second)
		_, accepted := h.ticket()
		assert.True(t, accepted)
	})
}

// A ticket failure does not affect the token.
func TestTicket_FailureLeavesTheToken(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.answerTickets(wechattest.Answer{Errcode: 48001})
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		for range 6 * 60 {
			time.Sleep(time.Minute)
			grant, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
			require.NoError(t, err)
			require.Zero(t, h.wechat.Accepts(grant.Value))
		}
		assert.Contains(t, []int{7}, h.wechat.Requests("", "token"), "one in 55 minutes")
		assert.Equal(t, 48001, h.refusal().Code)
		assert.LessOrEqual(t, h.wechat.Requests("", "jsapi"), 6*60)
	})
}

// A ticket that WeChat returns again is not requested over and over.
func TestTicket_SameAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		const body = `{"errcode":0,"errmsg":"ok","ticket":"sM4AOVdWfPE4DxkX_the_same","expires_in":7200}`
		h.answerTickets(wechattest.Answer{Kind: wechattest.Raw, Body: body})
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		first, _ := h.ticket()
		_, err := h.group.Refresh(t.Context(), "wx1", memcache.JSAPITicket, first.Value)
		require.ErrorContains(t, err, "still accepts the reported credential")
		time.Sleep(50 * time.Minute)
		assert.Equal(t, 2, h.wechat.Requests("", "jsapi"))
	})
}

// Without memcached, a ticket is fetched only if none is valid, or it was reported.
func TestTicket_WithoutMemcached(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		first, _ := h.ticket()
		h.memcached.SetFault(memcachetest.Refuse)
		time.Sleep(110 * time.Minute)
		grant, accepted := h.ticket()
		assert.True(t, accepted)
		same := grant.Value == first.Value
		assert.True(t, same, "overdue and alive")
		assert.Equal(t, 1, h.wechat.Requests("", "jsapi"))

		time.Sleep(11 * time.Minute)
		second, accepted := h.ticket()
		assert.True(t, accepted, "the first one is invalid")
		assert.Equal(t, 2, h.wechat.Requests("", "jsapi"))
		time.Sleep(time.Minute)
		third, err := h.group.Refresh(t.Context(), "wx1", memcache.JSAPITicket, second.Value)
		require.NoError(t, err)
		same = third.Value == second.Value
		assert.False(t, same)
		assert.Equal(t, 3, h.wechat.Requests("", "jsapi"))
	})
}

// The error for a ticket that is not configured names the variable.
func TestTicket_NotConfigured(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		_, err := h.group.Token(t.Context(), "wx1", memcache.WXCardTicket)
		var refused *keeper.Error
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, keeper.NotConfigured, refused.Reason)
		assert.Equal(t, 404, refused.Code)
		assert.Equal(t, hint.NoTicket("wx_card", "wx1"), refused.Hint)
		_, err = h.group.Token(t.Context(), "wx9", memcache.JSAPITicket)
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, 40013, refused.Code, "an account that is not kept at all")
		odd := account("wx1")
		odd.Tickets = []memcache.Kind{"component_ticket"}
		require.ErrorContains(t, h.group.SetAccounts([]keeper.Account{odd}), `unknown kind of ticket "component_ticket"`)
	})
}

// Many tickets at the start wait for their tokens, and all get one.
func TestTicket_ManyWaitForTheirTokens(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		var accounts []keeper.Account
		for i := range 100 {
			appID := fmt.Sprintf("wx%d", i+1)
			h.wechat.AddAccount(appID, secret)
			accounts = append(accounts, withTicket(appID))
		}
		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: time.Second} })
		require.NoError(t, h.group.SetAccounts(accounts))
		time.Sleep(30 * time.Second)
		for _, state := range h.group.States() {
			assert.True(t, state.Valid && state.Published, "%s of %s", state.Kind, state.AppID)
		}
		assert.Equal(t, 100, h.wechat.Requests("", "jsapi"))
		assert.Equal(t, 100, h.wechat.Requests("", "token"))
	})
}

// An external ticket in the entry is replaced.
func TestTicket_ExternalIsReplaced(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		ours, _ := h.ticket()
		h.memcached.Put("wx1:jsapi_ticket", strings.Repeat("x", 80), 0, 3600)
		time.Sleep(16 * time.Second)
		item, _ := h.memcached.Peek("wx1:jsapi_ticket")
		same := item.Value == ours.Value
		assert.True(t, same)
		assert.Equal(t, 1, h.wechat.Requests("", "jsapi"), "an external fetch leaves ours valid")
		assert.Contains(t, h.logs.String(), "external ticket detected")
	})
}

// WeChat returns the same ticket with its remaining life until that ends. It is served to its
// end, and the next request follows two seconds later. A reader waits for that, and never fails.
func TestTicket_SameOneToItsEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.SetSameTicket()
		all := []*keeper.Group{h.group, h.another(), h.another()}
		for _, group := range all {
			require.NoError(t, group.SetAccounts([]keeper.Account{withTicket("wx1")}))
		}
		longest, missing := time.Duration(0), 0
		for start := time.Now(); time.Since(start) < 9*time.Hour; time.Sleep(time.Second) {
			for _, group := range all {
				began := time.Now()
				grant, err := group.Token(t.Context(), "wx1", memcache.JSAPITicket)
				require.NoError(t, err)
				require.Zero(t, h.wechat.AcceptsTicket(grant.Value), "after %s", time.Since(start))
				longest = max(longest, time.Since(began))
			}
			if item, ok := h.memcached.Peek("wx1:jsapi_ticket"); !ok || h.wechat.AcceptsTicket(item.Value) != 0 {
				missing++
			}
		}
		tickets := 0
		for _, issue := range h.wechat.Tickets() {
			if issue.New {
				tickets++
			}
		}
		assert.Equal(t, 5, tickets, "one in two hours")
		assert.LessOrEqual(t, h.wechat.Requests("", "jsapi"), 4*tickets, "requests for each")
		assert.LessOrEqual(t, longest, 4500*time.Millisecond, "a reader waits from 2 s before the end until 2 s after it")
		assert.LessOrEqual(t, missing, 35*tickets, "seconds without an entry: the margin of 29 s, and the changeover")
		state := h.group.States()
		for _, s := range state {
			assert.Empty(t, s.Counts.Failed, s.Kind)
			assert.Nil(t, s.Err, s.Kind)
		}
		assert.NotContains(t, h.logs.String(), "renewal failed")
		t.Logf("%d requests for %d tickets; a reader waited for at most %s; no entry for %d s", h.wechat.Requests("", "jsapi"), tickets, longest, missing)
	})
}

// The first request of all finds a ticket with some seconds left: that is a success, and the
// next one follows when it has ended.
func TestTicket_FirstOneNearItsEnd(t *testing.T) {
	t.Parallel()
	for _, left := range []time.Duration{299 * time.Second, 12 * time.Second, 9 * time.Second, 3 * time.Second, 1500 * time.Millisecond} {
		inBubble(t, func(h *fixture) {
			t := h.t
			h.wechat.SetSameTicket()
			require.NoError(t, h.another().SetAccounts([]keeper.Account{withTicket("wx1")}))
			time.Sleep(2*time.Hour - left)
			h.memcached.Flush()
			for _, end := range h.ends {
				end()
			}
			h.ends = nil
			h.memcached.Flush()
			requests := h.wechat.Requests("", "jsapi")
			h.group = h.another()
			require.NoError(t, h.group.SetAccounts([]keeper.Account{withTicket("wx1")}))
			for start := time.Now(); time.Since(start) < left+time.Minute; time.Sleep(250 * time.Millisecond) {
				_, accepted := h.ticket()
				require.True(t, accepted, "%s left, after %s", left, time.Since(start))
			}
			assert.LessOrEqual(t, h.wechat.Requests("", "jsapi")-requests, 4, "%s left", left)
			assert.NotContains(t, h.logs.String(), "renewal failed", "%s left", left)
		})
	}
}
