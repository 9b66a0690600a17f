package client_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// While a token is reported, other callers do not get it from memcached: they wait for
// the report, for at most 1 s since it began.
func TestReport_Joined(t *testing.T) {
	for name, c := range map[string]struct {
		takes, waits time.Duration
		fails        bool
		late         string // memcached's token at the end
		want         string
	}{
		"the answer":               {takes: 300 * time.Millisecond, waits: 300 * time.Millisecond, late: t2, want: t2},
		"before memcached has it":  {takes: 300 * time.Millisecond, waits: 300 * time.Millisecond, late: t1, want: t2},
		"a slow report":            {takes: 5 * time.Second, waits: time.Second, late: t1, want: t1},
		"another sidecar's":        {takes: 5 * time.Second, waits: time.Second, late: t3, want: t3},
		"a failed report":          {takes: 300 * time.Millisecond, waits: 300 * time.Millisecond, fails: true, late: t1, want: t1},
		"a failed report, renewed": {takes: 300 * time.Millisecond, waits: 300 * time.Millisecond, fails: true, late: t3, want: t3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := setup(t)
				f.sidecar.instead = func(w http.ResponseWriter, _ *http.Request) bool {
					time.Sleep(min(c.takes, c.waits) - time.Nanosecond)
					f.memcached.Put("wx1", c.late, 0, 3600)
					time.Sleep(c.takes - min(c.takes, c.waits) + time.Nanosecond)
					if c.fails {
						refuse(w, 503, -1, "nothing valid")
					}
					return c.fails
				}
				var wg sync.WaitGroup
				wg.Go(func() { _, _ = f.Refresh(t.Context(), t1) })
				synctest.Wait()
				start := time.Now()
				for range 20 {
					wg.Go(func() {
						token, err := f.AccessToken(t.Context())
						if assert.NoError(t, err) {
							assert.Equal(t, c.want, token)
						}
						assert.Equal(t, c.waits, time.Since(start))
					})
				}
				wg.Wait()
				assert.Equal(t, 1, f.sidecar.asked())
			})
		})
	}
}

// Readers join the report of the token that they read, although a slow request reports
// an earlier token meanwhile.
func TestReport_JoinedBesideAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sidecar.before = func(*http.Request) { time.Sleep(300 * time.Millisecond) }
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = f.Refresh(t.Context(), t1) })
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() { _, _ = f.Refresh(t.Context(), t0) })
		synctest.Wait()
		assert.Equal(t, t2, f.token(t))
		wg.Wait()
	})
}

// Readers whom the sidecar gives the reported token join its report too: only the sidecar
// that owns a report lets them wait.
func TestReport_JoinedFromTheSidecar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.memcached.Evict("wx1")
		f.sidecar.before = func(r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/refresh") {
				time.Sleep(300 * time.Millisecond)
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = f.Refresh(t.Context(), t1) })
		synctest.Wait()
		start := time.Now()
		for range 5 {
			wg.Go(func() { assert.Equal(t, t2, f.token(t)) })
		}
		wg.Wait()
		assert.Equal(t, 300*time.Millisecond, time.Since(start))
	})
}

// With Config.Local, the process does not hold a token while it is reported: after the
// wait, readers get what memcached holds.
func TestReport_SlowWithLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, withLocal(client.MaxLocal))
		f.sidecar.before = func(*http.Request) { time.Sleep(5 * time.Second) }
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = f.Refresh(t.Context(), t1) })
		synctest.Wait()
		require.Equal(t, t1, f.token(t))
		f.memcached.Put("wx1", t3, 0, 3600)
		assert.Equal(t, t3, f.token(t))
		wg.Wait()
	})
}

// A reader of a ticket joins its report too.
func TestReport_JoinedTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sidecar.current["wx1/jsapi_ticket"] = t1
		f.memcached.Put("wx1:jsapi_ticket", t1, 0, 3600)
		f.sidecar.before = func(*http.Request) { time.Sleep(100 * time.Millisecond) }
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = f.RefreshTicket(t.Context(), client.JSAPI, t1) })
		synctest.Wait()
		require.Equal(t, t1, f.token(t), "the token is another credential")
		ticket, err := f.Ticket(t.Context(), client.JSAPI)
		require.NoError(t, err)
		assert.Equal(t, t2, ticket)
		wg.Wait()
	})
}

// Readers do not wait if memcached holds another token than the reported one, if it is
// another account's, or once their context ends.
func TestReport_NotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.memcached.Put("wxB", t3, 0, 3600)
		f.sidecar.before = func(*http.Request) { time.Sleep(900 * time.Millisecond) }
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = f.Refresh(t.Context(), t1) })
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := f.AccessToken(ctx)
		require.NoError(t, err)
		assert.Equal(t, time.Millisecond, time.Since(start))

		f.memcached.Put("wx1", t0, 0, 3600)
		assert.Equal(t, t0, f.token(t))
		token, err := f.For("wxB").AccessToken(t.Context())
		require.NoError(t, err)
		assert.Equal(t, t3, token)
		assert.Equal(t, time.Millisecond, time.Since(start))
		wg.Wait()
	})
}

// Readers do not wait for a second report of a token if the first brought no other one:
// the sidecar found the token valid.
func TestReport_NotJoinedAgain(t *testing.T) {
	for name, answer := range map[string]func(*fakeSidecar){
		"too early": func(s *fakeSidecar) {
			s.answering(429, "Retry-After", "31", `{"errcode":429,"errmsg":"WeChat accepts it"}`)
		},
		"the same": func(s *fakeSidecar) { s.answering(200, "", "", `{"access_token":"`+t1+`","expires_in":300}`) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := setup(t)
				answer(f.sidecar)
				_, _ = f.Refresh(t.Context(), t1)
				time.Sleep(31 * time.Second)
				f.sidecar.before = func(*http.Request) { time.Sleep(time.Second) }
				var wg sync.WaitGroup
				wg.Go(func() { _, _ = f.Refresh(t.Context(), t1) })
				synctest.Wait()
				start := time.Now()
				assert.Equal(t, t1, f.token(t))
				assert.Zero(t, time.Since(start))
				wg.Wait()
				assert.Equal(t, 2, f.sidecar.asked())
			})
		})
	}
}

// A report that was too early is not sent again before its RetryAfter is over, unless
// memcached holds another token.
func TestReport_TooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sidecar.answering(429, "Retry-After", "31", `{"errcode":429,"errmsg":"too soon"}`)
		report := func(c *client.Client, rejected string) client.Error {
			_, err := c.Refresh(t.Context(), rejected)
			var refusal *client.Error
			require.ErrorAs(t, err, &refusal)
			require.ErrorContains(t, err, "client: refresh access_token of wx")
			return *refusal
		}
		tooEarly := client.Error{Code: 429, Message: "too soon", RetryAfter: 31 * time.Second}
		require.Equal(t, tooEarly, report(f.Client, t1))
		time.Sleep(10*time.Second + time.Millisecond)
		tooEarly.RetryAfter = 21 * time.Second
		require.Equal(t, tooEarly, report(f.Client, t1))
		require.Equal(t, 1, f.sidecar.asked())

		f.memcached.Put("wx1", t2, 0, 3600)
		f.sidecar.current["wx1/access_token"] = t2
		f.sidecar.instead = nil
		token, err := f.Refresh(t.Context(), t1)
		require.NoError(t, err)
		assert.Equal(t, t2, token)
		require.Equal(t, 2, f.sidecar.asked())

		f.memcached.Put("wx1", t1, 0, 3600)
		f.memcached.Put("wxB", t1, 0, 3600)
		f.sidecar.answering(429, "Retry-After", "31", `{"errcode":429,"errmsg":"too soon"}`)
		tooEarly.RetryAfter = 31 * time.Second
		assert.Equal(t, tooEarly, report(f.For("wxB"), t1), "another account's report")
		require.Equal(t, 3, f.sidecar.asked())
		time.Sleep(21 * time.Second)
		assert.Equal(t, tooEarly, report(f.Client, t1), "it is over")
		assert.Equal(t, 4, f.sidecar.asked())
		assert.Equal(t, tooEarly, report(f.Client, t2), "another token")
		assert.Equal(t, 5, f.sidecar.asked())
	})
}

// An outage of memcached does not keep a report from the sidecar.
func TestReport_TooEarlyInOutage(t *testing.T) {
	f := setup(t)
	f.sidecar.answering(429, "Retry-After", "31", `{"errcode":429,"errmsg":"too soon"}`)
	_, _ = f.Refresh(t.Context(), t1)
	f.memcached.Flush()
	f.sidecar.instead = nil
	token, err := f.Refresh(t.Context(), t1)
	require.NoError(t, err)
	assert.Equal(t, t2, token)
}
