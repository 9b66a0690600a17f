//go:build unix

package web

import "syscall"

// narrow bounds what the kernel keeps for each connection of a listener: they have it
// from the listener. A kernel that does not want it goes on as it was.
func narrow(_, _ string, listener syscall.RawConn) error {
	return listener.Control(func(fd uintptr) {
		for _, option := range []int{syscall.SO_RCVBUF, syscall.SO_SNDBUF} {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, kernelBuffer)
		}
	})
}
