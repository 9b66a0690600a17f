package client_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// The process holds a token for exactly Config.Local.
func TestLocal_Expiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, withLocal(10*time.Second))
		require.Equal(t, t1, f.token(t))
		f.memcached.Put("wx1", t2, 0, 3600)

		time.Sleep(10*time.Second - time.Nanosecond)
		assert.Equal(t, t1, f.token(t))
		assert.Equal(t, 1, f.gets())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, t2, f.token(t))
		assert.Equal(t, 2, f.gets())
	})
}

// The process never holds a token that is two renewals old: these are 31 s apart at
// least.
func TestLocal_Limit(t *testing.T) {
	for local, valid := range map[time.Duration]bool{30 * time.Second: true, 30*time.Second + 1: false, 31 * time.Second: false, time.Minute: false, 240 * time.Second: false} {
		_, err := client.New(client.Config{AppID: "wx1", Local: local})
		if valid {
			assert.NoError(t, err, local)
		} else {
			assert.ErrorContains(t, err, "Local: "+local.String()+" is out of range; use 0 to 30s", local)
		}
	}
}

// By default the process holds no token.
func TestLocal_Default(t *testing.T) {
	f := setup(t)
	require.Equal(t, t1, f.token(t))
	f.memcached.Put("wx1", t2, 0, 3600)
	assert.Equal(t, t2, f.token(t))
}

// The process holds a token of the sidecar no longer than its expires_in.
func TestLocal_ExpiresIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, withLocal(30*time.Second))
		f.memcached.Flush()
		f.sidecar.expiresIn = 7
		f.sidecar.before = func(*http.Request) { time.Sleep(2 * time.Second) } // the promise can be that old
		require.Equal(t, t1, f.token(t))
		time.Sleep(5*time.Second - time.Nanosecond)
		require.Equal(t, t1, f.token(t))
		assert.Equal(t, 1, f.sidecar.asked())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, t1, f.token(t))
		assert.Equal(t, 2, f.sidecar.asked())
	})
}

// The process does not hold a token whose expires_in is over.
func TestLocal_ExpiredAnswer(t *testing.T) {
	for _, expiresIn := range []int{0, -5} {
		f := setup(t, withLocal(30*time.Second))
		f.memcached.Flush()
		f.sidecar.expiresIn = expiresIn
		require.NotEmpty(t, f.token(t))
		require.NotEmpty(t, f.token(t))
		assert.Equal(t, 2, f.sidecar.asked())
	}
}

// The process holds the token that Refresh returns.
func TestLocal_Refresh(t *testing.T) {
	f := setup(t, withLocal(30*time.Second))
	require.Equal(t, t1, f.token(t))
	token, err := f.Refresh(t.Context(), t1)
	require.NoError(t, err)
	require.Equal(t, t2, token)
	assert.Equal(t, t2, f.token(t))
	assert.Equal(t, 1, f.gets(), "the answer is held")
}

// After a failed Refresh the process holds no token.
func TestLocal_FailedRefresh(t *testing.T) {
	f := setup(t, withLocal(30*time.Second))
	require.Equal(t, t1, f.token(t))
	f.sidecar.down = errDown
	_, err := f.Refresh(t.Context(), t1)
	require.Error(t, err)
	f.memcached.Put("wx1", t2, 0, 3600) // another client got the next token
	assert.Equal(t, t2, f.token(t))
}

// The process does not hold a token that was read before a Refresh.
//
// A: asks memcached for the token, and is slow
// B: Refresh(t1) returns t2, which is held
// A: reads t1, which is invalid: storing it would give it to all callers.
func TestLocal_ReadBeforeRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, withLocal(30*time.Second))
		slow := make(chan struct{})
		f.memcached.OnCommand(func(memcachetest.Command) memcachetest.Fault { <-slow; return memcachetest.None })
		var a string
		var wg sync.WaitGroup
		wg.Go(func() { a, _ = f.AccessToken(t.Context()) })
		synctest.Wait()

		_, err := f.Refresh(t.Context(), t1)
		require.NoError(t, err)
		close(slow)
		wg.Wait()
		require.Equal(t, t1, a)
		assert.Equal(t, t2, f.token(t), "a token that was reported")
	})
}

// A token that was read during a Refresh is removed at its end.
//
// B: Refresh(t1) asks the sidecar, which takes longer than A waits for it
// A: reads t1 from memcached and holds it
// B: the answer is t2, which replaces it.
func TestLocal_ReadDuringRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, withLocal(30*time.Second))
		f.sidecar.before = func(*http.Request) { time.Sleep(2 * time.Second) }
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = f.Refresh(t.Context(), t1) })
		synctest.Wait()
		require.Equal(t, t1, f.token(t))
		wg.Wait()
		assert.Equal(t, t2, f.token(t), "a token that was reported")
	})
}

// A Refresh that another one overtook does not store its answer.
//
// B: Refresh(t0) is answered with t1, and the answer is on its way
// C: Refresh(t1) returns t2
// B: its answer arrives, which is invalid: storing it would give it to all callers.
func TestLocal_OvertakenRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, withLocal(30*time.Second))
		onItsWay := make(chan struct{})
		f.sidecar.instead = func(w http.ResponseWriter, _ *http.Request) bool {
			if f.sidecar.asked() > 1 {
				return false
			}
			<-onItsWay
			_, _ = w.Write([]byte(`{"access_token":"` + t1 + `","expires_in":300}`))
			return true
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = f.Refresh(t.Context(), t0) })
		synctest.Wait()
		_, err := f.Refresh(t.Context(), t1)
		require.NoError(t, err)
		f.memcached.Put("wx1", t2, 0, 3600)
		close(onItsWay)
		wg.Wait()
		assert.Equal(t, t2, f.token(t), "a token that was reported")
	})
}

// A token that the process holds costs no allocation.
func TestLocal_Allocations(t *testing.T) {
	f := setup(t, withLocal(30*time.Second))
	ctx := t.Context()
	require.NotEmpty(t, f.token(t))
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = f.AccessToken(ctx) }))
}

func BenchmarkAccessTokenLocal(b *testing.B) {
	server := memcachetest.New()
	defer func() { _ = server.Close() }()
	server.Put("wx1", t1, 0, 3600)
	c := mustNew(b, server)
	ctx := b.Context()
	_, err := c.AccessToken(ctx)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.AccessToken(ctx)
	}
}
