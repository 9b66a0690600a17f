package memcache_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// A bad AppID never reaches memcached.
func TestSlot_BadAppIDNeverReachesTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		for _, bad := range []string{
			"", " ", "wx 1", " wx1", "wx1 ", "wx1\r\nflush_all", "wx\x001", "wx\x7f", "wx1:record", "wx/1", "wx.1", "../wx1", "微信", "wx\xff",
			"0123456789abcdef0123456789ABCDEF", "wx@1", "wx[1", "wx`1", "wx{1", "*", strings.Repeat("a", 65), strings.Repeat("a", 1<<20),
		} {
			assert.False(t, memcache.ValidAppID(bad), bad)
			for _, kind := range []memcache.Kind{memcache.AccessToken, "jsapi_ticket"} {
				slot, err := f.store.Slot(bad, kind)
				require.ErrorIs(t, err, memcache.ErrBadAppID, bad)
				assert.Nil(t, slot)
			}
		}
		assert.Zero(t, f.Count(""))
	})
	for _, good := range []string{"wx1", "a", "0", "_", "-", "wx0123456789abcdef", "AZaz09_-", strings.Repeat("a", 64), "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdefa"} {
		assert.True(t, memcache.ValidAppID(good), good)
	}
}

// A prefix is printable and leaves room for the longest key.
func TestCheckPrefix_PrintableAndShort(t *testing.T) {
	t.Parallel()
	for prefix, good := range map[string]bool{
		"": true, "prod:": true, "微信:": true, strings.Repeat("p", 120): true, strings.Repeat("p", 121): false,
		" ": false, "a b": false, "a\n": false, "\r\nflush_all\r\n": false, "\x00": false, "\x7f": false,
	} {
		_, err := memcache.New(memcache.Config{Prefix: prefix})
		assert.Equal(t, good, err == nil, "%q: %v", prefix, err)
		assert.Equal(t, good, memcache.CheckPrefix(prefix) == nil, "%q", prefix)
	}
}

// memcached accepts the longest keys.
func TestSlot_LongestKeys(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		config := s.config
		config.Prefix = strings.Repeat("p", 120)
		store := open(t, config)
		slot := must(store.Slot(strings.Repeat("a", 64), "wx_card_ticket"))(t)
		useAll(t, slot)
	})
}

// marks are all marks, and how many keys each has: 0 means one without a number.
var marks = map[memcache.MarkName]int{
	memcache.MarkReportThrottle: 0,
	memcache.MarkRecentReport:   0,
	memcache.MarkForceRefresh:   0,
	memcache.MarkPlanned:        0,
	memcache.MarkTokenReport:    0,
	memcache.MarkBudget:         10,
	memcache.MarkHandover:       5,
	memcache.MarkUpstreamPoll:   0,
}

// useAll uses every key of a credential.
func useAll(t *testing.T, slot *memcache.Slot) {
	t.Helper()
	require.NoError(t, slot.PutEntry(memcache.Entry{}, token1, time.Hour))
	require.NoError(t, slot.PutRecord(memcache.Seen{}, newRecord(token1), time.Hour))
	lease := must(slot.TakeLease())(t)
	require.NoError(t, lease.Release())
	for name, uses := range marks {
		if uses == 0 {
			ok := must(slot.Mark(name, time.Hour))(t)
			require.True(t, ok)
		}
		for range uses {
			_, ok, err := slot.Spend(name, uses, time.Minute)
			require.NoError(t, err)
			require.True(t, ok)
		}
	}
	_ = must(slot.CountRequest(20261123))(t)
	_ = must(slot.CountFailure())(t)
	require.NoError(t, slot.ForgetFailures())
	view := must(slot.Poll())(t)
	require.Equal(t, token1, view.Entry.Token)
	require.Equal(t, newRecord(token1), view.Record.Record)
}

// useQuota uses the keys about WeChat's own count, which a token alone has.
func useQuota(t *testing.T, slot *memcache.Slot) {
	t.Helper()
	require.True(t, must(slot.Mark(memcache.MarkQuotaRead, 58*time.Minute))(t))
	for _, api := range []string{"token", "stable_token"} {
		_ = must(slot.CountSent(api, 1))(t)
		require.NoError(t, slot.PutQuota(api, &memcache.Quota{V: 1, At: 1}))
	}
}

// Credentials share no key.
func TestSlot_CredentialsShareNothing(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		for _, prefix := range []string{"", "prod:", "test:"} {
			config := s.config
			config.Prefix = prefix
			store := open(t, config)
			for _, appID := range []string{"wx1", "wx2"} {
				for _, kind := range []memcache.Kind{memcache.AccessToken, "jsapi_ticket", "wx_card_ticket"} {
					slot := must(store.Slot(appID, kind))(t)
					useAll(t, slot)
				}
			}
		}
	})
}
