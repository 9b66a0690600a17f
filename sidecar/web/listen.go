package web

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
	// socketMode lets the group in: in a pod, fsGroup.
	socketMode = 0o660
	// kernelBuffer is how many bytes the kernel keeps for a caller who does not read
	// his answers, and of one who asks before he has read them; Linux takes twice as
	// much. It counts in the pod's memory, and by itself goes up to megabytes: 200
	// callers took 34 MB. What is asked and answered here fits, or waits a moment.
	kernelBuffer = 4 << 10
	// socketPatience is how long a socket that is there may take to answer.
	socketPatience = time.Second
)

// Listen listens on an address that CheckListen accepts. Where a unix socket is
// that nobody answers on any more, it is removed first. One that answers, and
// anything that is no socket, is an error and stays.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if err := CheckListen(address); err != nil {
		return nil, err
	}
	path, ok := strings.CutPrefix(address, "unix://")
	if !ok {
		l, err := (&net.ListenConfig{Control: narrow}).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		return l, nil
	}
	l, err := listenUnix(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return narrowUnix{l}, nil
}

// narrowUnix bounds what waits for whoever reads from a unix socket. A TCP connection
// has it from its listener, a unix socket has nothing from its.
type narrowUnix struct{ net.Listener }

// Accept implements net.Listener.
func (l narrowUnix) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if wide, ok := conn.(*net.UnixConn); ok {
		_ = wide.SetWriteBuffer(kernelBuffer) // else it stays as wide as it is
	}
	return conn, err
}

func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	folder := filepath.Dir(path)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("the folder %s does not exist: create it, or mount a volume there", folder)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(ctx, path); err != nil {
			return nil, err
		}
		l, err = new(net.ListenConfig).Listen(ctx, "unix", path)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		_ = l.Close() // the error to tell is the first
		return nil, err
	}
	return l, nil
}

// removeStale removes a socket that its owner left behind.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone in between
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("what is there is no socket: remove it, or name another path")
	}
	dialer := net.Dialer{Timeout: socketPatience}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close() // it was only to see who answers
		return errors.New("somebody answers on this socket: is another sidecar running?")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot tell whether somebody answers on this socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
