package client

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Of several calls at the end of a pause, one probes.
func TestHealth_ProbeRace(t *testing.T) {
	for range 20_000 {
		var h health
		h.now.Store(&outage{until: time.Now(), pause: time.Hour})
		var asked, ready atomic.Int32
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				ready.Add(1)
				for ready.Load() < 2 { // both at the same instant, or the race is none
					runtime.Gosched()
				}
				if _, ask := h.enter(); ask {
					asked.Add(1)
				}
			})
		}
		wg.Wait()
		require.Equal(t, int32(1), asked.Load())
	}
}

// A call that began before an outage neither ends nor prolongs it.
func TestHealth_LateCall(t *testing.T) {
	for name, late := range map[string]error{"a late success": nil, "a late failure": errors.New("late")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h health
				slow, _ := h.enter()
				first, _ := h.enter()
				h.leave(first, errors.New("time-out"))
				time.Sleep(firstPause)
				probe, ask := h.enter()
				require.True(t, ask)
				h.leave(probe, errors.New("time-out"))

				h.leave(slow, late)
				require.NotNil(t, h.now.Load())
				assert.Equal(t, 2*firstPause, h.now.Load().pause)
			})
		})
	}
}

// Requests to the sidecar use no proxy, however its host is spelled, and an unreadable
// variable fails nothing.
func TestAddress_NoProxy(t *testing.T) {
	for _, variable := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(variable, "http://[unreadable")
	}
	for _, where := range []string{"", "http://LOCALHOST:7200", "http://localhost.:7200", "http://wxsidecar:7200", "http://10.0.0.7:7200", "unix:///run/s.sock"} {
		a, err := parseAddress(where)
		require.NoError(t, err)
		assert.Nil(t, a.transport("").Proxy, where)
		c, err := New(Config{AppID: "wx1", Sidecar: where})
		require.NoError(t, err, where)
		require.NoError(t, c.Close())
	}
}
