package main

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestMemoryIsGivenBackOnceAfterEveryStretchOfCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := newTrim()
		var freed atomic.Int32
		tr.free = func() { freed.Add(1) }
		read := tr.watch(func() (string, error) { return "x", nil })
		call := func() { _, _ = read() }
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- tr.run(ctx) }()
		after := func(d time.Duration) int {
			time.Sleep(d)
			synctest.Wait()
			return int(freed.Load())
		}
		assert.Zero(t, after(time.Hour), "nobody called yet")

		call()
		assert.Zero(t, after(trimAfter-time.Second))
		assert.Equal(t, 1, after(time.Second), "after the first call")
		assert.Equal(t, 1, after(time.Hour), "once")

		for range 30 {
			call()
			assert.Equal(t, 1, after(time.Second), "not while accounts start")
		}
		assert.Equal(t, 2, after(2*trimAfter))
		assert.Equal(t, 2, after(time.Hour))

		for range 10 * 60 {
			call()
			after(time.Second)
		}
		assert.InDelta(t, 2+9, freed.Load(), 1, "about once in a minute while there is no end of calls")
		stop()
		assert.NoError(t, <-ended)
	})
}
