//go:build !unix

package listener

import (
	"context"
	"net"
	"syscall"
)

// createSocket creates a socket.
func createSocket(ctx context.Context, path string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "unix", path)
}

// limitBuffers does nothing: pods run on Linux.
func limitBuffers(_, _ string, _ syscall.RawConn) error { return nil }
