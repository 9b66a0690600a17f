// Package listener has what both listeners of a sidecar need: TCP ports and unix
// sockets, bounded connections, and a server with deadlines that drains.
package listener

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// socketMode admits the group: in a pod, fsGroup.
	socketMode = 0o660
	// kernelBuffer is how many bytes the kernel keeps of unread answers and requests for
	// a connection; Linux takes twice as much. They count in the pod's memory, and the
	// default grows to megabytes: 200 connections took 34 MB.
	kernelBuffer = 4 << 10
	// socketTimeout is how long an existing socket has to answer.
	socketTimeout = time.Second
)

// Open listens on an address that CheckAddress accepts. It first removes a unix socket
// on which nothing answers. A socket that answers, and any other file, is an error and
// stays.
func Open(ctx context.Context, address string) (net.Listener, error) {
	if err := CheckAddress(address); err != nil {
		return nil, err
	}
	path, ok := strings.CutPrefix(address, "unix://")
	if !ok {
		l, err := (&net.ListenConfig{Control: limitBuffers}).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		return l, nil
	}
	l, err := listenUnix(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return unixListener{l}, nil
}

// unixListener limits the kernel's buffer of each connection. TCP connections inherit
// it from their listener, those of a unix socket do not.
type unixListener struct{ net.Listener }

// Accept implements net.Listener.
func (l unixListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if c, ok := conn.(*net.UnixConn); ok {
		_ = c.SetWriteBuffer(kernelBuffer) // an error leaves the default
	}
	return conn, err
}

func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	folder := filepath.Dir(path)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("the folder %s does not exist; create it, or mount a volume there", folder)
	}
	l, err := createSocket(ctx, path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(ctx, path); err != nil {
			return nil, err
		}
		l, err = createSocket(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		_ = l.Close() // the first error is the one to report
		return nil, err
	}
	return l, nil
}

// removeStale removes a socket that a process left behind.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone in between
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("a file that is not a socket is there; remove it, or name another path")
	}
	dialer := net.Dialer{Timeout: socketTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close() // that it answers is enough
		return errors.New("a process answers on this socket; is another sidecar running?")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot determine whether a process answers on this socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
