package client_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/entries"
)

// A hit is one get and nothing else.
func TestAccessToken_Hit(t *testing.T) {
	f := setup(t)
	for range 10 {
		assert.Equal(t, t1, f.token(t))
	}
	assert.Equal(t, 10, f.memcached.Count(""))
	assert.Zero(t, f.sidecar.asked())
}

// The sidecar answers if memcached has no valid value or fails.
func TestAccessToken_Fallback(t *testing.T) {
	cases := map[string]func(*memcachetest.Server){
		"missing":        func(s *memcachetest.Server) { s.Flush() },
		"out of memory":  func(s *memcachetest.Server) { s.SetFault(memcachetest.ServerError) },
		"refused":        func(s *memcachetest.Server) { s.SetFault(memcachetest.Refuse) },
		"half an answer": func(s *memcachetest.Server) { s.SetFault(memcachetest.DropMid) },
		"no answer":      func(s *memcachetest.Server) { s.SetFault(memcachetest.Hang) },
	}
	for _, value := range entries.Values(t) {
		if !value.Valid {
			cases[value.Name] = func(s *memcachetest.Server) { s.Put("wx1", value.Text, uint32(value.Flags), 3600) }
		}
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := setup(t)
				spoil(f.memcached)
				assert.Equal(t, t1, f.token(t))
				assert.Equal(t, 1, f.sidecar.asked())
			})
		})
	}
}

// The prefix precedes the key.
func TestAccessToken_Prefix(t *testing.T) {
	f := setup(t, func(cfg *client.Config) { cfg.Memcached.Prefix = "prod:" })
	f.memcached.Put("prod:wx1", t2, 0, 3600)
	assert.Equal(t, t2, f.token(t))
}

// Callers who miss at the same time share one request.
func TestAccessToken_SharedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.memcached.Flush()
		answer := make(chan struct{})
		f.sidecar.before = func(*http.Request) { <-answer }

		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				token, err := f.AccessToken(t.Context())
				if assert.NoError(t, err) {
					assert.Equal(t, t1, token)
				}
			})
		}
		synctest.Wait()
		assert.Equal(t, 1, f.sidecar.asked())
		close(answer)
		wg.Wait()
		assert.Equal(t, 1, f.sidecar.asked())
	})
}

// A caller who gives up does not fail the others, even if it began the request.
func TestAccessToken_CallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.memcached.Flush()
		f.sidecar.before = func(*http.Request) { <-time.After(3 * time.Second) }

		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { // it begins the request
			start := time.Now()
			_, err := f.AccessToken(impatient)
			if assert.ErrorIs(t, err, context.DeadlineExceeded) {
				assert.Equal(t, time.Second, time.Since(start))
			}
		})
		synctest.Wait()
		wg.Go(func() {
			token, err := f.AccessToken(t.Context())
			if assert.NoError(t, err) {
				assert.Equal(t, t1, token)
			}
		})
		wg.Wait()
		assert.Equal(t, 1, f.sidecar.asked())
	})
}

// A call with an ended context sends no request.
func TestClient_EndedContext(t *testing.T) {
	f := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.AccessToken(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = f.Refresh(ctx, t1)
	require.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, f.memcached.Count(""))
	assert.Zero(t, f.sidecar.asked())
}

// A caller after a Refresh does not share a request from before it.
//
//	A: miss, asks the sidecar; the answer t1 is on its way
//	B: Refresh(t1) returns t2
//	C: misses, and must not get A's t1.
func TestAccessToken_AfterRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.memcached.Flush()
		onItsWay := make(chan struct{})
		f.sidecar.instead = func(w http.ResponseWriter, _ *http.Request) bool {
			if f.sidecar.asked() > 1 {
				return false
			}
			<-onItsWay
			_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":300}`, t1)
			return true
		}
		var a string
		var wg sync.WaitGroup
		wg.Go(func() { a, _ = f.AccessToken(t.Context()) })
		synctest.Wait()

		token, err := f.Refresh(t.Context(), t1)
		require.NoError(t, err)
		require.Equal(t, t2, token)
		assert.Equal(t, t2, f.token(t), "a token that was reported")
		close(onItsWay)
		wg.Wait()
		assert.Equal(t, t1, a, "A itself asked before the report")
	})
}

// For returns another account over the same connections, and always the same Client.
func TestFor_OtherAccount(t *testing.T) {
	f := setup(t)
	f.memcached.Put("wxB", t3, 0, 3600)
	b := f.For("wxB")
	token, err := b.AccessToken(t.Context())
	require.NoError(t, err)
	assert.Equal(t, t3, token)
	assert.Same(t, b, f.For("wxB"))
	assert.Same(t, f.Client, b.For("wx1"))
}

// An invalid AppID fails before any request.
func TestFor_InvalidAppID(t *testing.T) {
	f := setup(t)
	for _, appID := range []string{"", "wx 1", "wx1/../wx2", "wx1\r\nflush_all", strings.Repeat("x", 65)} {
		c := f.For(appID)
		_, err := c.AccessToken(t.Context())
		require.ErrorIs(t, err, memcache.ErrBadAppID)
		_, err = c.Refresh(t.Context(), t1)
		require.ErrorIs(t, err, memcache.ErrBadAppID)
		_, err = c.Ticket(t.Context(), client.JSAPI)
		require.ErrorIs(t, err, memcache.ErrBadAppID)
	}
	assert.Zero(t, f.memcached.Count(""))
	assert.Zero(t, f.sidecar.asked())
}

// Close cancels the requests under way and leaves no goroutine behind.
func TestClose_CancelsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble fails if a goroutine is left
		f := setup(t, withLocal(30*time.Second))
		require.NotEmpty(t, f.token(t))
		_, err := f.Refresh(t.Context(), t1)
		require.NoError(t, err)
		f.memcached.Flush()
		b := f.For("wxB")
		f.sidecar.before = func(r *http.Request) { <-r.Context().Done() }
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := b.AccessToken(t.Context())
			assert.ErrorIs(t, err, client.ErrClosed)
		})
		synctest.Wait()
		require.NoError(t, f.Close())
		wg.Wait()
		require.NoError(t, f.Close(), "twice")

		_, err = f.AccessToken(t.Context())
		require.ErrorIs(t, err, client.ErrClosed)
		_, err = b.Refresh(t.Context(), t1)
		assert.ErrorIs(t, err, client.ErrClosed)
	})
}

// All methods are safe for concurrent use; the race detector checks it.
func TestClient_Concurrent(t *testing.T) {
	f := setup(t, withLocal(30*time.Second))
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 50 {
				token, err := f.AccessToken(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if i%4 == 0 {
					_, err = f.Refresh(t.Context(), token)
					if err != nil {
						t.Error(err)
						return
					}
				}
				if i == 5 {
					f.memcached.Restart()
				}
				_, _ = f.For(fmt.Sprint("wx", i)).AccessToken(t.Context())
			}
		})
	}
	wg.Wait()
}
