package main

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Not parallel: the limit is the whole program's.
func TestAQuarterOfTheMemoryLimitIsLeftToTheKernel(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for limit, want := range map[int64]int64{32 << 20: 24 << 20, math.MaxInt64: math.MaxInt64} {
		debug.SetMemoryLimit(limit)
		leaveRoom()
		assert.Equal(t, want, debug.SetMemoryLimit(-1))
	}
}
