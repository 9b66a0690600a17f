package main

import (
	"math"
	"runtime/debug"
)

// reserveKernelMemory lowers Go's memory limit to three quarters of GOMEMLIMIT, which
// the manifests set to the pod's limit. The pod's limit also counts about 9 MB of the
// program's own pages and the kernel's buffers of connections.
func reserveKernelMemory() {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		debug.SetMemoryLimit(limit / 4 * 3)
	}
}
