package client_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// An outage costs one timeout a pause.
func TestHealth_OneTimeoutPerPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		require.NotEmpty(t, f.token(t))
		f.memcached.SetFault(memcachetest.Hang)

		var waited []time.Duration // when a call waited for memcached
		start := time.Now()
		for time.Since(start) < 40*time.Second {
			began := time.Now()
			assert.Equal(t, t1, f.token(t))
			if took := time.Since(began); took > 0 {
				assert.LessOrEqual(t, took, 400*time.Millisecond)
				waited = append(waited, began.Sub(start).Round(time.Second))
			}
			time.Sleep(50 * time.Millisecond)
		}
		s := time.Second // pauses of 1, 2, 4, 8, 10, 10 s, each after a timeout of 200 ms
		assert.Equal(t, []time.Duration{0, 1 * s, 3 * s, 8 * s, 16 * s, 26 * s, 36 * s}, waited)
	})
}

// A memcached that recovers is used again after the pause.
func TestHealth_Recovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.memcached.SetFault(memcachetest.Refuse)
		require.NotEmpty(t, f.token(t))
		f.memcached.SetFault(memcachetest.None)
		gets, asked := f.gets(), f.sidecar.asked()
		require.NotEmpty(t, f.token(t))
		assert.Equal(t, gets, f.gets(), "asked within the pause")
		assert.Equal(t, asked+1, f.sidecar.asked())

		time.Sleep(time.Second)
		for range 3 {
			require.NotEmpty(t, f.token(t))
		}
		assert.Equal(t, gets+3, f.gets())
		assert.Equal(t, asked+1, f.sidecar.asked())

		f.memcached.SetFault(memcachetest.Refuse)
		require.NotEmpty(t, f.token(t))
		f.memcached.SetFault(memcachetest.None)
		time.Sleep(time.Second)
		require.NotEmpty(t, f.token(t))
		assert.Equal(t, gets+4, f.gets(), "a later outage begins with the first pause again")
	})
}

// One caller probes memcached; the others do not wait.
func TestHealth_OneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.memcached.SetFault(memcachetest.Hang)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _, _ = f.AccessToken(t.Context()) })
		}
		wg.Wait()
		time.Sleep(time.Second)
		gets := f.gets()
		waited := make(chan struct{}, 20)
		for range 20 {
			wg.Go(func() {
				start := time.Now()
				token, err := f.AccessToken(t.Context())
				if assert.NoError(t, err) {
					assert.Equal(t, t1, token)
				}
				if time.Since(start) > 0 {
					waited <- struct{}{}
				}
			})
		}
		wg.Wait()
		assert.Equal(t, 1, f.gets()-gets)
		assert.Len(t, waited, 1)
	})
}

// A miss is no failure.
func TestHealth_Miss(t *testing.T) {
	f := setup(t)
	f.memcached.Flush()
	for range 5 {
		require.NotEmpty(t, f.token(t))
	}
	assert.Equal(t, 5, f.gets())
	f.memcached.Put("wx1", t2, 0, 3600)
	assert.Equal(t, t2, f.token(t))
}

// A restart of memcached is no failure: the pool replaces its idle connections.
func TestHealth_Restart(t *testing.T) {
	f := setup(t)
	require.NotEmpty(t, f.token(t))
	f.memcached.Restart()
	f.memcached.Put("wx1", t2, 0, 3600)
	for range 3 {
		assert.Equal(t, t2, f.token(t))
	}
	assert.Zero(t, f.sidecar.asked())
}

// If the sidecar cannot be reached, memcached is asked even within a pause.
func TestHealth_SidecarDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.memcached.SetFault(memcachetest.Refuse)
		require.NotEmpty(t, f.token(t))
		f.memcached.SetFault(memcachetest.None)
		f.sidecar.down = errDown
		gets := f.gets()
		assert.Equal(t, t1, f.token(t))
		assert.Equal(t, gets+1, f.gets())
		f.sidecar.down = nil
		asked := f.sidecar.asked()
		assert.Equal(t, t1, f.token(t))
		assert.Equal(t, asked, f.sidecar.asked(), "the outage is over")
	})
}

// If both are down, the error names both.
func TestHealth_BothDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.memcached.SetFault(memcachetest.Refuse)
		f.sidecar.down = errDown
		for range 2 {
			_, err := f.AccessToken(t.Context())
			require.ErrorIs(t, err, errDown)
			require.ErrorContains(t, err, "get access_token of wx1")
			require.ErrorContains(t, err, "check SIDECAR_URL")
			require.ErrorContains(t, err, "memcached")
			clean(t, err)
		}
	})
}
