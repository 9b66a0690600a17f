package quota_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/quota"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	appID  = "wx0123456789abcdef"
	secret = "canarysecret-of-quota"
)

// fleet is several sidecars with a memcached and a WeChat, in virtual time.
type fleet struct {
	t         *testing.T
	wechat    *wechattest.Server
	memcached *memcachetest.Server
	sidecars  []*sidecar
	log       programtest.Output

	mu      sync.Mutex // guards results
	results map[quota.Result]int
}

func (f *fleet) observe(r quota.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.results[r]++
}

// sidecar is the part of a sidecar that sends requests.
type sidecar struct {
	*quota.Watcher
	group  *keeper.Group
	caller *wechat.Client
}

// inFleet runs a test with sidecars that keep these accounts, or one account.
func inFleet(t *testing.T, sidecars int, api wechat.API, test func(f *fleet), appIDs ...string) {
	t.Helper()
	if len(appIDs) == 0 {
		appIDs = []string{appID}
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{t: t, wechat: wechattest.New(), memcached: memcachetest.New(), results: map[quota.Result]int{}}
		defer func() { assert.NoError(t, f.memcached.Close()) }()
		transport, stop := f.wechat.Pipe()
		defer stop()
		var accounts []keeper.Account
		for _, id := range appIDs {
			f.wechat.AddAccount(id, secret)
			accounts = append(accounts, keeper.Account{AppID: id, Secret: func() (string, error) { return secret, nil }})
		}
		for n := range sidecars {
			s := &sidecar{}
			store, err := memcache.New(memcache.Config{Dial: f.memcached.Dial})
			require.NoError(t, err)
			defer func() { _ = store.Close() }()
			s.caller, err = wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport, Observe: func(r wechat.Request, _ time.Duration, failure error) {
				s.Sent(r.AppID, r.API, failure)
			}})
			require.NoError(t, err)
			name := fmt.Sprint("pod-", n)
			log := slog.New(slog.NewTextHandler(&f.log, nil)).With("pod", name)
			s.group = keeper.New(keeper.Config{Store: store, WeChat: s.caller, API: api, Name: name})
			s.Watcher = quota.New(quota.Config{
				Store: store, API: api, Name: name, AppIDs: s.group.AppIDs, Send: s.caller.Quota, Log: log, Observe: f.observe,
				Token: func(ctx context.Context, id, rejected string) (string, error) {
					if rejected == "" {
						grant, err := s.group.Token(ctx, id, memcache.AccessToken)
						return grant.Value, err
					}
					grant, err := s.group.Refresh(ctx, id, memcache.AccessToken, rejected)
					return grant.Value, err
				},
			})
			require.NoError(t, s.group.SetAccounts(accounts))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 2)
			go func() { s.group.Run(ctx); ended <- nil }()
			go func() { ended <- s.Run(ctx) }()
			defer func() {
				cancel()
				assert.NoError(t, <-ended)
				assert.NoError(t, <-ended)
				s.group.Close(ctx)
			}()
			f.sidecars = append(f.sidecars, s)
		}
		test(f)
		programtest.AssertNoCanary(t, f.log.String())
	})
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// verify verifies the AppSecret, as each sidecar does.
func (s *sidecar) verify(t *testing.T) {
	t.Helper()
	err := s.caller.Verify(t.Context(), appID, secret)
	require.NoError(t, err)
	s.Sent(appID, wechat.StableToken, err)
}

// external returns what all sidecars show: a number, "unknown" or "none".
func (f *fleet) external(t *testing.T, id string) string {
	t.Helper()
	var all []string
	for _, s := range f.sidecars {
		switch q := s.Of(id); {
		case q == nil:
			all = append(all, "no reading")
		case q.Limit == 0:
			all = append(all, "none")
		case q.External == nil:
			all = append(all, "unknown")
		default:
			all = append(all, fmt.Sprint(*q.External))
		}
	}
	for _, one := range all[1:] {
		assert.Equal(t, all[0], one, "all sidecars show the same")
	}
	return all[0]
}

// Five fetches by another program are seen within an hour as 5, by all sidecars, whenever
// they happen. WeChat is asked once an hour.
func TestQuota_FiveExternalFetches(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{2 * time.Hour, 2*time.Hour + 10*time.Minute, 2*time.Hour + 33*time.Minute, 2*time.Hour + 50*time.Minute, 3 * time.Hour} {
		inFleet(t, 3, wechat.Token, func(f *fleet) {
			t := f.t
			pass(after)
			require.Equal(t, "0", f.external(t, appID))
			before := f.wechat.Checks()
			for range 5 {
				f.wechat.FetchExternally(appID)
			}
			seen := 0
			for range 60 {
				pass(time.Minute)
				if f.sidecars[0].Of(appID).External != nil && *f.sidecars[0].Of(appID).External == 5 {
					seen++
				}
			}
			assert.Positive(t, seen, "after %s: within an hour", after)
			// A reading, refused because of the fetches, and repeated with another token.
			assert.LessOrEqual(t, f.wechat.Checks()-before, 1+1+1)
			pass(time.Hour)
			assert.Equal(t, "0", f.external(t, appID))
			assert.Equal(t, 1, strings.Count(f.log.String(), `level=WARN msg="external fetches counted"`))
			assert.Contains(t, f.log.String(), "external=5")
		})
	}
}

// A day of the sidecars alone has no external fetch: renewals, reports, forced requests and
// verifications are theirs.
func TestQuota_DayWithoutOthers(t *testing.T) {
	t.Parallel()
	for _, api := range []wechat.API{wechat.Token, wechat.StableToken} {
		inFleet(t, 5, api, func(f *fleet) {
			t := f.t
			shown := map[string]int{}
			for hour := range 24 {
				s := f.sidecars[hour%5]
				s.verify(t)
				grant, err := s.group.Token(t.Context(), appID, memcache.AccessToken)
				require.NoError(t, err)
				_, _ = s.group.Refresh(t.Context(), appID, memcache.AccessToken, grant.Value) // a report
				for range 30 {
					pass(2 * time.Minute)
				}
				shown[f.external(t, appID)]++
			}
			// The first reading, and the one after midnight in Beijing.
			assert.LessOrEqual(t, shown["unknown"], 2, "%s: %v", api, shown)
			assert.GreaterOrEqual(t, shown["0"], 22, "%s: %v", api, shown)
			assert.InDelta(t, 25, f.results[quota.Counted], 1, "about once an hour, by all sidecars together")
			assert.Zero(t, f.results[quota.Failed])
			assert.NotContains(t, f.log.String(), "external fetches counted")
		})
	}
}

// What was sent while memcached failed is counted once it answers again. If it lost the
// number, one reading is unknown.
func TestQuota_MemcachedFailsAndForgets(t *testing.T) {
	t.Parallel()
	inFleet(t, 3, wechat.StableToken, func(f *fleet) {
		t := f.t
		pass(2 * time.Hour)
		require.Equal(t, "0", f.external(t, appID))
		f.memcached.SetFault(memcachetest.ServerError)
		for _, s := range f.sidecars {
			s.verify(t)
			s.verify(t)
		}
		pass(10 * time.Minute)
		f.memcached.SetFault(memcachetest.None)
		pass(time.Hour)
		assert.Equal(t, "0", f.external(t, appID))

		f.memcached.Flush()
		f.sidecars[0].verify(t)
		pass(time.Hour)
		assert.Equal(t, "unknown", f.external(t, appID))
		pass(time.Hour)
		assert.Equal(t, "0", f.external(t, appID))

		f.memcached.Evict(appID + ":sent:stable_token")
		pass(time.Hour)
		assert.Equal(t, "unknown", f.external(t, appID))
		pass(time.Hour)
		assert.Equal(t, "0", f.external(t, appID))
	})
}

// After a reset of WeChat's count, one reading is unknown.
func TestQuota_CountFell(t *testing.T) {
	t.Parallel()
	inFleet(t, 2, wechat.Token, func(f *fleet) {
		t := f.t
		pass(2 * time.Hour)
		require.Equal(t, "0", f.external(t, appID))
		require.NoError(t, f.sidecars[0].caller.ClearQuota(t.Context(), appID, secret))
		pass(time.Hour)
		assert.Equal(t, "unknown", f.external(t, appID))
		pass(time.Hour)
		assert.Equal(t, "0", f.external(t, appID))
		assert.Equal(t, 1, f.wechat.Clears(appID), "a sidecar never does that")
	})
}

// Some accounts have no count. That is no error.
func TestQuota_NoCount(t *testing.T) {
	t.Parallel()
	for _, answer := range []wechattest.Answer{
		{Errcode: 76021}, {Errcode: 76022}, {Errcode: 48001}, {Kind: wechattest.Raw, Body: `{"errcode":0,"quota":{"daily_limit":0,"used":0,"remain":0}}`},
	} {
		inFleet(t, 2, wechat.Token, func(f *fleet) {
			t := f.t
			f.wechat.OnCheck(func(int) wechattest.Answer { return answer })
			pass(3 * time.Hour)
			assert.Equal(t, "none", f.external(t, appID))
			assert.Equal(t, f.results[quota.None], f.wechat.Checks())
			assert.LessOrEqual(t, f.wechat.Checks(), 4)
			assert.NotContains(t, f.log.String(), "level=WARN")
		})
	}
}

// A failed reading is repeated an hour later, and the next one covers both hours. After
// three hours without one, nothing is shown.
func TestQuota_ReadingFails(t *testing.T) {
	t.Parallel()
	inFleet(t, 3, wechat.Token, func(f *fleet) {
		t := f.t
		pass(2 * time.Hour)
		before := f.wechat.Checks()
		f.wechat.OnCheck(func(int) wechattest.Answer { return wechattest.Answer{Kind: wechattest.ServerError} })
		for range 3 {
			f.wechat.FetchExternally(appID)
		}
		pass(70 * time.Minute)
		assert.LessOrEqual(t, f.wechat.Checks()-before, 2)
		assert.Positive(t, f.results[quota.Failed])
		f.wechat.OnCheck(nil)
		pass(time.Hour)
		assert.Equal(t, "3", f.external(t, appID))
		f.wechat.OnCheck(func(int) wechattest.Answer { return wechattest.Answer{Errcode: 40164} })
		pass(4*time.Hour + 10*time.Minute)
		assert.Equal(t, "no reading", f.external(t, appID))
		assert.Contains(t, f.log.String(), `level=WARN msg="WeChat's count not read"`)
	})
}

// Each account has its own reading, once an hour, however many sidecars there are.
func TestQuota_ManyAccounts(t *testing.T) {
	t.Parallel()
	var ids []string
	for n := range 30 {
		ids = append(ids, fmt.Sprintf("wx%016d", n))
	}
	inFleet(t, 10, wechat.Token, func(f *fleet) {
		t := f.t
		pass(2*time.Hour + 30*time.Minute)
		f.wechat.FetchExternally(ids[7])
		pass(time.Hour)
		for n, id := range ids {
			want := "0"
			if n == 7 {
				want = "1"
			}
			assert.Equal(t, want, f.external(t, id), id)
		}
		checks := f.wechat.Checks()
		assert.InDelta(t, 30*4, checks, 2)
		for _, s := range f.sidecars {
			require.NoError(t, s.group.SetAccounts(nil))
		}
		pass(2 * time.Hour)
		assert.Equal(t, checks, f.wechat.Checks(), "they were removed")
		assert.Equal(t, "no reading", f.external(t, ids[7]))
	}, ids...)
}

// Off, it costs nothing.
func TestQuota_Off(t *testing.T) { // not parallel: see testing.AllocsPerRun
	var off *quota.Watcher
	require.NoError(t, off.Run(t.Context()))
	assert.Zero(t, testing.AllocsPerRun(100, func() { off.Sent(appID, wechat.Token, nil) }))
}
