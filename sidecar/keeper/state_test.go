package keeper_test

import (
	"encoding/json"
	"fmt"
	"slices"
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

func (h *fixture) state() keeper.State {
	h.t.Helper()
	states := h.group.States()
	require.Len(h.t, states, 1)
	return states[0]
}

// otherRecord is what another sidecar would have written after this record.
func otherRecord(t *testing.T, value string) string {
	t.Helper()
	var record memcache.Record
	require.NoError(t, json.Unmarshal([]byte(value), &record))
	record.Token, record.By = "canarytoken-of-another", "another"
	record.Number = time.Now().UnixMilli()
	record.Issued, record.Expires = time.Now().Unix(), time.Now().Unix()+7200
	record.Today = memcache.Day{Date: firstDay, Requests: 41, Renewals: 40}
	written, err := json.Marshal(record)
	require.NoError(t, err)
	return string(written)
}

// The bubble's clock begins at midnight UTC on 1 January 2000.
const firstDay = 20000101

// The state through the life of a token.
func TestState_OfALife(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		time.Sleep(100 * time.Second)
		token, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		assert.False(t, token.Waited)
		s := h.state()
		assert.True(t, s.Valid && s.Published && !s.InDoubt && s.Err == nil && s.Failed.IsZero())
		assert.Equal(t, memcache.Fingerprint(token.Value), s.Fingerprint)
		assert.Equal(t, wechat.Token, s.API)
		assert.Equal(t, 100*time.Second, s.Age)
		assert.Equal(t, 7100*time.Second, s.Left)
		assert.InDelta(t, 3200, s.RenewalIn.Seconds(), 30.01, "the jitter")
		assert.Equal(t, memcache.Day{Date: firstDay, Requests: 1, Renewals: 1}, s.Today)
		assert.Equal(t, keeper.Counts{Renewed: 1}, s.Counts)

		time.Sleep(15*time.Hour + 50*time.Minute)
		before := h.state()
		assert.Equal(t, memcache.Day{Date: firstDay, Requests: 18, Renewals: 18}, before.Today, "one every 55 minutes")
		time.Sleep(time.Hour)
		after := h.state()
		assert.Equal(t, firstDay+1, after.Today.Date, "midnight in Beijing")
		assert.Less(t, after.Today.Requests, 3)
		assert.Greater(t, after.Counts.Renewed, before.Counts.Renewed)
	})
}

// Sidecars that start together find the entry as soon as there is one.
func TestStart_TogetherFindTheEntry(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: 80 * time.Millisecond} })
		h.memcached.OnCommand(func(cmd memcachetest.Command) memcachetest.Fault {
			if cmd.Verb == "add" && slices.Contains(cmd.Keys, "wx1") {
				time.Sleep(150 * time.Millisecond) // so that several have looked and found none
			}
			return memcachetest.None
		})
		fleet := []*keeper.Group{h.group}
		for range 7 {
			fleet = append(fleet, h.another())
		}
		for _, group := range fleet {
			require.NoError(t, group.SetAccounts([]keeper.Account{account("wx1")}))
		}
		time.Sleep(time.Second)
		for _, group := range fleet {
			state := group.States()[0]
			assert.True(t, state.Valid && state.Published, "what the startup probe asks")
		}
		assert.Equal(t, 1, h.wechat.Requests("", ""))
	})
}

// The state has the reason of a failure, and the time of the next attempt.
func TestState_OfAFailure(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Errcode: 40164} })
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		failed := time.Now()
		time.Sleep(time.Second)
		s := h.state()
		assert.False(t, s.Valid || s.Published)
		assert.Empty(t, s.Fingerprint)
		assert.Zero(t, s.Left)
		require.NotNil(t, s.Err)
		assert.Equal(t, 40164, s.Err.Code)
		assert.Equal(t, []time.Time{failed, failed}, []time.Time{s.FailingSince, s.Failed})
		assert.Equal(t, failed.Add(20*time.Second), s.Retry)
		assert.Equal(t, memcache.Day{Date: firstDay, Requests: 1}, s.Today)
		assert.Equal(t, map[string]uint64{"40164": 1}, s.Counts.Failed)

		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Errcode: 98765} })
		time.Sleep(2*time.Minute + 5*time.Second)
		s = h.state()
		assert.Equal(t, failed, s.FailingSince, "with another errcode too")
		assert.WithinRange(t, s.Failed, failed.Add(time.Minute), time.Now())
		h.wechat.OnRequest(nil)
		time.Sleep(time.Minute)
		s = h.state()
		assert.True(t, s.Valid)
		assert.True(t, s.Err == nil && s.FailingSince.IsZero())
		assert.Equal(t, map[string]uint64{"40164": 1, keeper.OtherCode: 2}, s.Counts.Failed, "whatever WeChat invents is one label")
		assert.Equal(t, memcache.Day{Date: firstDay, Requests: 4, Renewals: 1}, s.Today)
	})
}

// An outage at each renewal is an outage of its own.
func TestState_FailingSinceEachOutage(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		for range 2 {
			time.Sleep(h.state().RenewalIn - time.Second)
			h.wechat.FailAll(40164)
			time.Sleep(40 * time.Minute)
			s := h.state()
			require.True(t, s.Valid)
			require.NotNil(t, s.Err)
			assert.InDelta(t, 40*60, time.Since(s.FailingSince).Seconds(), 600)
			h.wechat.Heal()
			time.Sleep(8 * time.Minute)
			assert.Nil(t, h.state().Err)
		}
	})
}

// External tokens, reports and renewals of other sidecars are counted.
func TestCounts_OfWhatOthersDo(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		token, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)

		// An external token in the entry is replaced by a renewal.
		h.memcached.Put("wx1", h.wechat.FetchExternally("wx1"), 0, 3600)
		time.Sleep(16 * time.Second)
		assert.EqualValues(t, 1, h.state().Counts.ExternalTokens)
		assert.EqualValues(t, 2, h.state().Counts.Renewed)

		// A report of the newest token counts, one of an old one does not.
		_, err = h.group.Refresh(t.Context(), "wx1", memcache.AccessToken, token.Value)
		require.NoError(t, err)
		assert.Zero(t, h.state().Counts.Reports)
		time.Sleep(time.Minute)
		token, err = h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		token, err = h.group.Refresh(t.Context(), "wx1", memcache.AccessToken, token.Value)
		require.NoError(t, err)
		assert.True(t, token.Waited)
		assert.EqualValues(t, 1, h.state().Counts.Reports)

		// Another sidecar has renewed.
		item, ok := h.memcached.Peek("wx1:record")
		require.True(t, ok)
		time.Sleep(10 * time.Second)
		theirs := otherRecord(t, item.Value)
		h.memcached.Put("wx1:record", theirs, 0, 7000)
		time.Sleep(16 * time.Second)
		s := h.state()
		assert.EqualValues(t, 1, s.Counts.Adopted)
		assert.Equal(t, "another", s.By)
		assert.Equal(t, 41, s.Today.Requests, "what it says of the day is the fleet's")
	})
}

// An outage has its begin and its error.
func TestOutages_SinceWhenAndWhy(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(time.Minute)
		assert.Empty(t, h.group.Outages())
		h.memcached.SetFault(memcachetest.Refuse)
		time.Sleep(time.Minute)
		outages := h.group.Outages()
		require.Len(t, outages, 1)
		require.Error(t, outages[0].Err)
		assert.Equal(t, memcache.DefaultServer, outages[0].Server)
		assert.InDelta(t, 52, time.Since(outages[0].Since).Seconds(), 8)
		h.memcached.SetFault(memcachetest.None)
		time.Sleep(16 * time.Second)
		assert.Empty(t, h.group.Outages())
	})
}

// A renewal that finds the lease held by another sidecar is counted once.
func TestCounts_Contended(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.memcached.Put("wx1:lease", "another", 0, 15)
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(30 * time.Second)
		s := h.state()
		assert.True(t, s.Valid)
		assert.EqualValues(t, 1, s.Counts.Contended, "once, however often it polls")
		assert.EqualValues(t, 1, s.Counts.Renewed)
	})
}

// A report that comes too soon after another is no failure of the account.
func TestState_ReportTooSoonIsNoFailure(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		token, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		token, err = h.group.Refresh(t.Context(), "wx1", memcache.AccessToken, token.Value)
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		_, err = h.group.Refresh(t.Context(), "wx1", memcache.AccessToken, token.Value)
		require.ErrorContains(t, err, "the last report was less than 31 s ago")
		time.Sleep(2 * time.Second)
		s := h.state()
		assert.True(t, s.Valid)
		assert.Nil(t, s.Err, "no renewal failed")
		for i := range 50 {
			_, _ = h.group.Refresh(t.Context(), "wx1", memcache.AccessToken, fmt.Sprintf("garbage-%d", i))
		}
		assert.EqualValues(t, 1, h.state().Counts.Reports, "of the newest token")
	})
}

// Today counts every request of an outage that lasts for hours.
func TestToday_CountsFailedRequests(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.FailAll(40164)
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		calls := h.wechat.Requests("", "")
		require.Greater(t, calls, 150)
		assert.Equal(t, memcache.Day{Date: firstDay, Requests: calls}, h.state().Today)
		h.wechat.FailAll(0)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		assert.Equal(t, memcache.Day{Date: firstDay, Requests: h.wechat.Requests("", ""), Renewals: 1}, h.state().Today)
	})
}

// An outage ends with the last account on its server.
func TestOutages_EndWithTheLastAccount(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		h.memcached.SetFault(memcachetest.Refuse)
		time.Sleep(time.Minute)
		require.Len(t, h.group.Outages(), 1)
		require.NoError(t, h.group.SetAccounts(nil))
		assert.Empty(t, h.group.Outages(), "it is not polled any more")
	})
}

// A failure that only a person can end is in the state all the time, and never the
// budget.
func TestState_KeepsTheCauseForPeople(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.FailAll(40125)
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		for range 2 * 360 {
			time.Sleep(10 * time.Second)
			state := h.group.States()[0]
			require.NotNil(t, state.Err)
			require.Equal(t, 40125, state.Err.Code, "not the budget, which ten calls in ten minutes use up")
		}
	})
}

// A memcached that was not there at first, and now answers, has refused nothing.
func TestState_MemcachedCameLate(t *testing.T) {
	inBubble(t, func(h *fixture) {
		h.memcached.OnCommand(func(memcachetest.Command) memcachetest.Fault { return memcachetest.DropBefore })
		require.NoError(h.t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(2 * time.Second)
		h.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "get" || c.Verb == "gets" {
				return memcachetest.None
			}
			return memcachetest.Hang // so that no later write hides the first ones
		})
		for range 500 {
			time.Sleep(10 * time.Millisecond)
			if len(h.group.Outages()) == 0 {
				require.NoError(h.t, h.group.States()[0].Unstored)
				return
			}
		}
		require.Fail(h.t, "no poll succeeded")
	})
}

// A memcached that answers polls and refuses writes shows in the state, while something has to
// be written and for a minute after that.
func TestState_MemcachedRefusesWrites(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		refuse := func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "add" || c.Verb == "set" || c.Verb == "cas" {
				return memcachetest.ServerError
			}
			return memcachetest.None
		}
		unstored := func() error { return h.group.States()[0].Unstored }
		h.memcached.OnCommand(refuse)
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(time.Minute)
		require.ErrorIs(t, unstored(), memcache.ErrMemory, "a renewal needs the lease, and then the entry is missing")
		for _, lost := range []string{"wx1", "wx1:record"} {
			h.memcached.OnCommand(nil)
			time.Sleep(20 * time.Second)
			require.NoError(t, unstored(), "a poll has written it")
			h.memcached.OnCommand(refuse)
			time.Sleep(5 * time.Minute)
			require.NoError(t, unstored(), "nothing has to be written")
			h.memcached.Evict(lost)
			time.Sleep(20 * time.Second)
			require.ErrorIs(t, unstored(), memcache.ErrMemory, lost)
		}
		h.memcached.OnCommand(nil)
		time.Sleep(20 * time.Second)
		h.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "add" { // the lease, but no entry
				return memcachetest.ServerError
			}
			return memcachetest.None
		})
		for h.state().RenewalIn > 0 {
			time.Sleep(time.Second)
		}
		for range 50 { // a poll that writes the entry, by cas, ends it again
			if unstored() != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.ErrorIs(t, unstored(), memcache.ErrMemory, "a renewal needs the lease")
	})
}
