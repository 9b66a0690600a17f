package main

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

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
