package client_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

func TestLocalKeepsATokenAndNoLonger(t *testing.T) {
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

func TestLocalIsOffByDefault(t *testing.T) {
	f := setup(t)
	require.Equal(t, t1, f.token(t))
	f.memcached.Put("wx1", t2, 0, 3600)
	assert.Equal(t, t2, f.token(t))
}

func TestLocalKeepsATokenOfTheSidecarOnlyAsLongAsPromised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, withLocal(200*time.Second))
		f.memcached.Flush()
		f.sidecar.expiresIn = 7
		f.sidecar.before = func(*http.Request) { time.Sleep(2 * time.Second) } // the promise may be that old
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

func TestAPromiseThatIsOverIsNotKept(t *testing.T) {
	for _, expiresIn := range []int{0, -5} {
		f := setup(t, withLocal(time.Minute))
		f.memcached.Flush()
		f.sidecar.expiresIn = expiresIn
		require.NotEmpty(t, f.token(t))
		require.NotEmpty(t, f.token(t))
		assert.Equal(t, 2, f.sidecar.asked())
	}
}

func TestRefreshReplacesWhatLocalKeeps(t *testing.T) {
	f := setup(t, withLocal(time.Minute))
	require.Equal(t, t1, f.token(t))
	token, err := f.Refresh(t.Context(), t1)
	require.NoError(t, err)
	require.Equal(t, t2, token)
	assert.Equal(t, t2, f.token(t))
	assert.Equal(t, 1, f.gets(), "the answer is kept")
}

func TestAFailedRefreshKeepsNothing(t *testing.T) {
	f := setup(t, withLocal(time.Minute))
	require.Equal(t, t1, f.token(t))
	f.sidecar.down = errDown
	_, err := f.Refresh(t.Context(), t1)
	require.Error(t, err)
	f.memcached.Put("wx1", t2, 0, 3600) // another client was luckier
	assert.Equal(t, t2, f.token(t))
}

// A: asks memcached for the token, and is slow
// B: Refresh(t1) gives t2, which is kept
// A: reads t1; keeping it would give a dead token to everybody
func TestATokenReadBeforeARefreshIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, withLocal(time.Minute))
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

// B: Refresh(t1) asks the sidecar
// A: reads t1 from memcached and keeps it
// B: the answer is t2: A's is over
func TestATokenReadDuringARefreshIsNotKeptBeyondIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, withLocal(time.Minute))
		f.sidecar.before = func(*http.Request) { time.Sleep(time.Second) }
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = f.Refresh(t.Context(), t1) })
		synctest.Wait()
		require.Equal(t, t1, f.token(t))
		wg.Wait()
		assert.Equal(t, t2, f.token(t), "a token that was reported")
	})
}

// B: Refresh(t0) is answered with t1, and the answer is on its way
// C: Refresh(t1) gives t2
// B: its answer arrives; keeping it would give a dead token to everybody
func TestARefreshThatWasOvertakenKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, withLocal(time.Minute))
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

func TestAKeptTokenCostsNoAllocation(t *testing.T) {
	f := setup(t, withLocal(time.Minute))
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
