//go:build unix

package listener

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// umask guards the process's file mode mask.
var umask sync.Mutex

// createSocket creates a socket that others cannot open even before its mode is set.
func createSocket(ctx context.Context, path string) (net.Listener, error) {
	umask.Lock()
	defer umask.Unlock()
	defer syscall.Umask(syscall.Umask(0o777 &^ socketMode))
	return new(net.ListenConfig).Listen(ctx, "unix", path)
}

// limitBuffers limits the kernel's buffers of a listener, which its connections
// inherit. If the kernel refuses, they keep the default.
func limitBuffers(_, _ string, listener syscall.RawConn) error {
	return listener.Control(func(fd uintptr) {
		for _, option := range []int{syscall.SO_RCVBUF, syscall.SO_SNDBUF} {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, kernelBuffer)
		}
	})
}
