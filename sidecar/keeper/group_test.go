package keeper_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const secret = "0123canarysecret4567"

// fixture is one sidecar's Group with a memcached and a WeChat of its own.
type fixture struct {
	t         *testing.T
	memcached *memcachetest.Server
	wechat    *wechattest.Server
	config    keeper.Config
	group     *keeper.Group
	logs      *programtest.Output
	ends      []func()
}

// inBubble runs test in virtual time. The fake WeChat knows wx1, wx2 and wx3.
func inBubble(t *testing.T, test func(h *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &fixture{t: t, memcached: memcachetest.New(), wechat: wechattest.New(), logs: &programtest.Output{}}
		defer func() { _ = h.memcached.Close() }()
		for _, appID := range []string{"wx1", "wx2", "wx3"} {
			h.wechat.AddAccount(appID, secret)
		}
		transport, stop := h.wechat.Pipe()
		defer stop()
		store, err := memcache.New(memcache.Config{Dial: h.memcached.Dial})
		require.NoError(t, err)
		defer func() { _ = store.Close() }()
		calls, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport})
		require.NoError(t, err)
		h.config = keeper.Config{Store: store, WeChat: calls, Log: slog.New(slog.NewJSONHandler(h.logs, nil))}
		defer func() {
			for _, end := range h.ends {
				end()
			}
		}()
		h.group = h.another()
		test(h)
	})
}

// another is one more sidecar's Group, which ends with the test.
func (h *fixture) another() *keeper.Group {
	group := keeper.New(h.config)
	ctx, cancel := context.WithCancel(h.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		group.Run(ctx)
	}()
	h.ends = append(h.ends, func() {
		cancel()
		<-ended
		group.Close(ctx)
	})
	return group
}

func account(appID string) keeper.Account {
	return keeper.Account{AppID: appID, Secret: func() (string, error) { return secret, nil }}
}

func (h *fixture) appIDs() []string {
	var appIDs []string
	for _, state := range h.group.States() {
		appIDs = append(appIDs, state.AppID)
	}
	return appIDs
}

// New accounts are renewed, and removed ones get no answers and no renewals.
func TestSetAccounts_ComeAndGo(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1"), account("wx2")}))
		synctest.Wait()
		assert.Equal(t, []string{"wx1", "wx2"}, h.appIDs())
		first, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)

		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx2"), account("wx3")}))
		synctest.Wait()
		assert.Equal(t, []string{"wx2", "wx3"}, h.appIDs())
		_, err = h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		var none *keeper.Error
		require.ErrorAs(t, err, &none)
		assert.Equal(t, keeper.NotConfigured, none.Reason)
		assert.Equal(t, 40013, none.Code)
		item, ok := h.memcached.Peek("wx1")
		assert.True(t, ok, "the entry of a removed account stays until it expires")
		same := item.Value == first.Value
		assert.True(t, same)

		time.Sleep(2 * time.Hour)
		assert.Equal(t, 1, h.wechat.Requests("wx1", ""), "no sidecar renews it any more")
		assert.Equal(t, 3, h.wechat.Requests("wx2", ""))
		assert.Equal(t, 3, h.wechat.Requests("wx3", ""))
	})
}

// A malformed AppID is an error, and the accounts stay as they were.
func TestSetAccounts_BadAppIDChangesNothing(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		require.ErrorIs(t, h.group.SetAccounts([]keeper.Account{account("wx2"), account("wx 3")}), memcache.ErrBadAppID)
		assert.Equal(t, []string{"wx1"}, h.appIDs())
	})
}

// An AppSecret that cannot be read costs no request, and the state says so.
func TestSecret_Unreadable(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		bad := account("wx1")
		bad.Secret = func() (string, error) { return "", errors.New("no such file") }
		require.NoError(t, h.group.SetAccounts([]keeper.Account{bad}))
		_, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.ErrorContains(t, err, "read AppSecret: no such file")
		assert.Zero(t, h.wechat.Requests("", ""))
		state := h.group.States()[0]
		assert.False(t, state.Valid)
		assert.NotEmpty(t, state.Err.Hint)
		assert.Empty(t, h.memcached.Keys(), "the lease is given back")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 1, strings.Count(h.logs.String(), "AppSecret not readable"), "logged once, tried at every poll")
		assert.Greater(t, h.group.States()[0].Counts.Failed["-1"], uint64(30))
	})
}

// If WeChat refuses, each caller gets the errcode at once.
func TestToken_RefusalReachesCallersAtOnce(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.FailAll(40164)
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		start := time.Now()
		for range 100 {
			_, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
			var refused *keeper.Error
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, keeper.Refused, refused.Reason)
			assert.Equal(t, 40164, refused.Code)
			assert.Positive(t, refused.RetryAfter)
		}
		assert.Less(t, time.Since(start), time.Second)
		assert.Equal(t, 1, h.wechat.Requests("", ""))
	})
}

// Close releases the lease, unless a request has no answer yet.
func TestClose_ReleasesTheLease(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer wechattest.Answer
		held   bool
	}{
		{"answered in time", wechattest.Answer{Delay: time.Second}, false},
		{"never answered", wechattest.Answer{Kind: wechattest.Hang}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(h *fixture) {
				t := h.t
				h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer { return c.answer })
				require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
				time.Sleep(100 * time.Millisecond)
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
				defer cancel()
				h.group.Close(ctx)
				assert.LessOrEqual(t, time.Since(start), 3500*time.Millisecond)
				_, held := h.memcached.Peek("wx1:lease")
				assert.Equal(t, c.held, held)
				_, published := h.memcached.Peek("wx1")
				assert.Equal(t, !c.held, published)
			})
		})
	}
}

// countingTransport counts the requests that are under way, on the sidecar's side.
// On the fake WeChat's side a request can begin before the end of the previous one
// is counted.
type countingTransport struct {
	http.RoundTripper
	mu           sync.Mutex // guards what follows
	underWay     int
	mostUnderWay int
}

// RoundTrip implements http.RoundTripper.
func (b *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	b.add(1)
	defer b.add(-1)
	return b.RoundTripper.RoundTrip(r)
}

func (b *countingTransport) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay += n
	b.mostUnderWay = max(b.mostUnderWay, b.underWay)
}

// At most 32 renewals run at a time when no reader waits for them.
func TestRenewals_32AtATime(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		pipe, stop := h.wechat.Pipe()
		defer stop()
		transport := &countingTransport{RoundTripper: pipe}
		calls, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport})
		require.NoError(t, err)
		h.config.WeChat = calls
		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: time.Second} })
		for i := range 200 {
			h.wechat.AddAccount(fmt.Sprintf("wx%d", i+1), secret)
		}
		require.NoError(t, h.another().SetAccounts(accounts(200)))
		time.Sleep(time.Minute)
		assert.Equal(t, 200, h.wechat.Issues(""))
		transport.mu.Lock()
		defer transport.mu.Unlock()
		assert.Equal(t, 32, transport.mostUnderWay)
	})
}

func Example() {
	memcached, wx := memcachetest.New(), wechattest.New()
	defer func() { _ = memcached.Close() }()
	wx.AddAccount("wx1", "secret")
	transport, stop := wx.Pipe()
	defer stop()

	store, err := memcache.New(memcache.Config{Dial: memcached.Dial})
	if err != nil {
		panic(err)
	}
	calls, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport})
	if err != nil {
		panic(err)
	}
	group := keeper.New(keeper.Config{Store: store, WeChat: calls})
	defer group.Close(context.Background())
	err = group.SetAccounts([]keeper.Account{{AppID: "wx1", Secret: func() (string, error) { return "secret", nil }}})
	if err != nil {
		panic(err)
	}

	grant, err := group.Token(context.Background(), "wx1", memcache.AccessToken)
	fmt.Println(len(grant.Value), grant.ExpiresIn > 59*time.Minute, err)
	// Output: 136 true <nil>
}

// A sidecar that starts before its network waits for memcached.
func TestRun_WaitsForMemcached(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.memcached.SetFault(memcachetest.Refuse)
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(3 * time.Second)
		assert.Zero(t, h.wechat.Requests("", ""))
		h.memcached.SetFault(memcachetest.None)
		time.Sleep(time.Second)
		assert.Equal(t, 1, h.wechat.Requests("wx1", "token"), "the configured API, under a lease")
		assert.Zero(t, h.wechat.Requests("wx1", "stable_token"))
		assert.True(t, h.group.States()[0].Published)
	})
}

// A success deletes the count of failures, which makes the next wait longer.
func TestRun_SuccessForgetsFailures(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.FailAll(-1)
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(time.Minute)
		item, counted := h.memcached.Peek("wx1:failures")
		require.True(t, counted)
		require.Greater(t, item.Value, "1")
		h.wechat.Heal()
		time.Sleep(10 * time.Minute)
		require.True(t, h.group.States()[0].Valid)
		_, counted = h.memcached.Peek("wx1:failures")
		assert.False(t, counted)
	})
}

// A claim is taken back if memcached fails just before the request: nothing was sent, so
// nothing is in doubt.
func TestRun_ClaimIsTakenBackWithoutARequest(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		claimed, failed := false, false
		h.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			claimed = claimed || (c.Verb == "cas" && slices.Contains(c.Keys, "wx1:record"))
			if claimed && !failed && slices.Contains(c.Keys, "wx1:lease") { // verified before the request
				failed = true
				return memcachetest.ServerError
			}
			return memcachetest.None
		})
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		require.True(t, failed)
		require.Zero(t, h.wechat.Requests("", ""))
		item, _ := h.memcached.Peek("wx1:record")
		assert.NotContains(t, item.Value, `"claim"`)
		time.Sleep(3 * time.Minute)
		assert.True(t, h.group.States()[0].Valid)
		assert.Equal(t, 1, h.wechat.Requests("", ""), "none for a doubt")
	})
}

// An entry that is not stored at the start is soon tried again: the startup probe waits for it.
func TestRun_EntryIsNotStoredAtFirst(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		begin := time.Now()
		h.memcached.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "add" && slices.Contains(c.Keys, "wx1") && time.Since(begin) < 200*time.Millisecond {
				return memcachetest.ServerError
			}
			return memcachetest.None
		})
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(100 * time.Millisecond)
		require.Empty(t, h.group.Outages())
		require.False(t, h.group.States()[0].Published)
		time.Sleep(400 * time.Millisecond)
		assert.True(t, h.group.States()[0].Published)
		assert.Equal(t, 1, h.wechat.Requests("", ""))
	})
}

// A sidecar that starts before its network then adopts what others fetched.
func TestRun_AdoptsOnceMemcachedAnswers(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		synctest.Wait()
		require.NoError(t, h.group.SetAccounts(nil))
		late := h.another()
		h.memcached.SetFault(memcachetest.Refuse)
		require.NoError(t, late.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(time.Second)
		h.memcached.SetFault(memcachetest.None)
		time.Sleep(time.Second)
		state := late.States()[0]
		assert.True(t, state.Valid)
		assert.True(t, state.Published, "/startupz waits for it")
		assert.Equal(t, 1, h.wechat.Requests("", ""))
	})
}

// Without memcached, a sidecar without a token requests a stable_token after 5 s.
func TestToken_WithoutMemcached(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.memcached.SetFault(memcachetest.Refuse)
		start := time.Now()
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		_, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		assert.InDelta(t, 5, time.Since(start).Seconds(), 0.3)
		assert.Equal(t, 1, h.wechat.Requests("wx1", "stable_token"))
		assert.Zero(t, h.wechat.Requests("wx1", "token"))
	})
}

// A token fetched under a lost lease is in doubt, although the other sidecar's clock is
// ahead.
func TestDoubt_LostLeaseAndAClockAhead(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		var once sync.Once
		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer {
			once.Do(func() { // another sidecar has taken the lease and called in between
				h.memcached.Evict("wx1:lease")
				theirs := memcache.Record{Token: "canarytoken-of-another", API: "token", By: "another", Number: time.Now().UnixMilli() + 1}
				theirs.Issued, theirs.Expires = time.Now().Unix()+2, time.Now().Unix()+7202
				written, _ := json.Marshal(theirs) // strings and numbers
				h.memcached.Put("wx1:record", string(written), 0, 7000)
			})
			return wechattest.Answer{}
		})
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 2, h.wechat.Requests("", ""), "it is unknown whose token came last: one more renewal")
		token, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		assert.Zero(t, h.wechat.Accepts(token.Value))
	})
}

// Reading the AppSecret takes so long that the lease would end before the request does:
// the request is sent under another lease.
func TestLease_TooLittleLeftForARequest(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		left := time.Duration(0)
		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer {
			lease, _ := h.memcached.Peek("wx1:lease")
			left = time.Until(lease.Expires)
			return wechattest.Answer{}
		})
		slow, reads := account("wx1"), atomic.Int32{}
		slow.Secret = func() (string, error) {
			if reads.Add(1) == 1 {
				time.Sleep(5 * time.Second)
			}
			return secret, nil
		}
		require.NoError(t, h.group.SetAccounts([]keeper.Account{slow}))
		_, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		assert.Greater(t, left, 11*time.Second)
		assert.Equal(t, 1, h.wechat.Requests("", ""))
	})
}

// A process that was frozen polls before it answers: what it holds may have been replaced
// long ago.
func TestToken_AfterTheProcessWasFrozen(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		var ice atomic.Pointer[chan struct{}] // everything that asks for the time waits for it
		h.config.Wall = func() time.Time {
			if melted := ice.Load(); melted != nil {
				<-*melted
			}
			return time.Now()
		}
		frozen := h.another()
		all := []keeper.Account{account("wx1")}
		require.NoError(t, h.group.SetAccounts(all))
		require.NoError(t, frozen.SetAccounts(all))
		time.Sleep(time.Minute)
		melted := make(chan struct{})
		ice.Store(&melted)
		grant, err := h.group.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		for range 2 {
			time.Sleep(time.Minute)
			h.wechat.FetchExternally("wx1")
			h.wechat.FetchExternally("wx1")
			grant, err = h.group.Refresh(t.Context(), "wx1", memcache.AccessToken, grant.Value)
			require.NoError(t, err)
		}
		ice.Store(nil)
		close(melted)
		got, err := frozen.Token(t.Context(), "wx1", memcache.AccessToken)
		require.NoError(t, err)
		assert.Equal(t, grant.Value, got.Value)
	})
}

// After a reset of the quota, the sidecar that was refused renews at its next poll, and not
// after the rest of the hour. A memcached that lost the cooldown costs one request.
func TestEndDay_EndsTheWait(t *testing.T) {
	for name, end := range map[string]func(h *fixture, store *memcache.Store) error{
		"ended":   func(_ *fixture, store *memcache.Store) error { return keeper.EndDay(store, "wx1") },
		"emptied": func(h *fixture, _ *memcache.Store) error { h.memcached.Flush(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(h *fixture) {
				t := h.t
				store, err := memcache.New(memcache.Config{Dial: h.memcached.Dial})
				require.NoError(t, err)
				defer func() { _ = store.Close() }()
				require.NoError(t, keeper.EndDay(store, "wx1"), "there is none")
				h.wechat.FailAll(45009)
				require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
				time.Sleep(30 * time.Minute)
				require.Equal(t, 1, h.wechat.Requests("", ""))
				require.NoError(t, end(h, store))
				time.Sleep(20 * time.Second)
				require.Equal(t, 2, h.wechat.Requests("", ""), "it is refused again")
				time.Sleep(30 * time.Minute)
				require.Equal(t, 2, h.wechat.Requests("", ""), "and waits again")
				h.wechat.Heal()
				require.NoError(t, end(h, store))
				time.Sleep(20 * time.Second)
				assert.True(t, h.group.States()[0].Valid)
				assert.Equal(t, 3, h.wechat.Requests("", ""))
			})
		})
	}
}

// A memcached that does not store the cooldown does not end the wait.
func TestEndDay_CooldownNeverStored(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		h.wechat.OnRequest(func(wechattest.Request) wechattest.Answer {
			h.memcached.Flush() // and so the lease that would become the cooldown
			return wechattest.Answer{Errcode: 45009}
		})
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(50 * time.Minute)
		assert.Equal(t, 1, h.wechat.Requests("", ""))
	})
}

// Another cooldown than that of the day stays.
func TestEndDay_LeavesOtherCooldowns(t *testing.T) {
	inBubble(t, func(h *fixture) {
		t := h.t
		store, err := memcache.New(memcache.Config{Dial: h.memcached.Dial})
		require.NoError(t, err)
		defer func() { _ = store.Close() }()
		h.wechat.FailAll(89506) // a day
		require.NoError(t, h.group.SetAccounts([]keeper.Account{account("wx1")}))
		time.Sleep(time.Minute)
		require.NoError(t, keeper.EndDay(store, "wx1"))
		slot, err := store.Slot("wx1", memcache.AccessToken)
		require.NoError(t, err)
		seen, err := slot.Lease()
		require.NoError(t, err)
		assert.NotNil(t, seen.Cooldown)
		time.Sleep(time.Hour)
		assert.Equal(t, 1, h.wechat.Requests("", ""))
	})
}
