package main

import (
	"context"
	"math"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// Memory is released once after each series of requests.
func TestMemoryReleaser_OncePerSeries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryReleaser()
		var released atomic.Int32
		m.release = func() { released.Add(1) }
		read := m.beforeRequest(func() (string, error) { return "x", nil })
		request := func() { _, _ = read() }
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.run(ctx) }()
		after := func(d time.Duration) int {
			time.Sleep(d)
			synctest.Wait()
			return int(released.Load())
		}
		assert.Zero(t, after(time.Hour), "no request yet")

		request()
		assert.Zero(t, after(releaseAfter-time.Second))
		assert.Equal(t, 1, after(time.Second), "after the first request")
		assert.Equal(t, 1, after(time.Hour), "once")

		for range 30 {
			request()
			assert.Equal(t, 1, after(time.Second), "not while accounts start")
		}
		assert.Equal(t, 2, after(2*releaseAfter))
		assert.Equal(t, 2, after(time.Hour))

		for range 10 * 60 {
			request()
			after(time.Second)
		}
		assert.InDelta(t, 2+9, released.Load(), 1, "about once a minute if requests do not end")
		stop()
		assert.NoError(t, <-ended)
	})
}

// A quarter of GOMEMLIMIT is left to the kernel. Not parallel: the limit is global.
func TestMemory_ReservesAQuarterForTheKernel(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for limit, want := range map[int64]int64{32 << 20: 24 << 20, math.MaxInt64: math.MaxInt64} {
		debug.SetMemoryLimit(limit)
		reserveKernelMemory()
		assert.Equal(t, want, debug.SetMemoryLimit(-1))
	}
}
