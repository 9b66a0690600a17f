//go:build !unix

package listener

import "syscall"

// limitBuffers does nothing: pods run on Linux.
func limitBuffers(_, _ string, _ syscall.RawConn) error { return nil }
