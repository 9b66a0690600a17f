package main

import (
	"math"
	"runtime/debug"
)

// leaveRoom takes a quarter off what GOMEMLIMIT allows, since the manifests make it the
// pod's limit. That counts more than Go does: the pages of the program itself, some
// 9 MB, which the kernel would have to read again and again, and what it keeps of
// connections.
func leaveRoom() {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		debug.SetMemoryLimit(limit / 4 * 3)
	}
}
