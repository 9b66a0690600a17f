//go:build unix

package listener

import "syscall"

// limitBuffers limits the kernel's buffers of a listener, which its connections
// inherit. If the kernel refuses, they keep the default.
func limitBuffers(_, _ string, listener syscall.RawConn) error {
	return listener.Control(func(fd uintptr) {
		for _, option := range []int{syscall.SO_RCVBUF, syscall.SO_SNDBUF} {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, kernelBuffer)
		}
	})
}
