package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// memcached is a real one of 8 MB, on an address that stays.
type memcached struct {
	address string
	process *process
}

func newMemcached(ctx context.Context) (*memcached, error) {
	address, err := programtest.FreeAddress()
	if err != nil {
		return nil, err
	}
	m := &memcached{address: address}
	return m, m.start(ctx)
}

func (m *memcached) start(ctx context.Context) error {
	path, err := exec.LookPath("memcached")
	if err != nil {
		return errors.New("memcached is not installed: run make setup")
	}
	host, port, _ := net.SplitHostPort(m.address)
	args := []string{"-l", host, "-p", port, "-U", "0", "-m", "8", "-t", "2", "-c", "2048"}
	if who, err := user.Current(); err == nil {
		args = append(args, "-u", who.Username) // root must say that it means it
	}
	if m.process, err = start(nil, false, nil, nil, path, args...); err != nil {
		return err
	}
	return m.process.until(ctx, func() bool {
		_, err := m.ask(ctx, "version", "")
		return err == nil
	})
}

// until waits for ok, while the process runs.
func (p *process) until(ctx context.Context, ok func() bool) error {
	for !ok() {
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended", p.cmd.Path)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

func (m *memcached) freeze() { m.process.signal(syscall.SIGSTOP) }
func (m *memcached) thaw()   { m.process.signal(syscall.SIGCONT) }

// ask says one line and reads the answer up to the line that begins with end; the
// first one where end is empty.
func (m *memcached) ask(ctx context.Context, line, end string) ([]string, error) {
	conn, err := m.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if _, err = conn.Write([]byte(line + "\r\n")); err != nil {
		return nil, err
	}
	var lines []string
	for in := bufio.NewReader(conn); ; {
		got, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		lines = append(lines, strings.TrimSpace(got))
		if strings.HasPrefix(got, end) {
			return lines, nil
		}
	}
}

func (m *memcached) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", m.address)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(time.Minute))
}

// evictions is how many items memcached had to give up so far.
func (m *memcached) evictions(ctx context.Context) (int, error) {
	lines, err := m.ask(ctx, "stats", "END")
	if err != nil {
		return 0, err
	}
	for _, line := range lines {
		if number, ok := strings.CutPrefix(line, "STAT evictions "); ok {
			return strconv.Atoi(number)
		}
	}
	return 0, errors.New("memcached tells nothing of evictions")
}

// flood writes items of all the sizes that ours have, 2,000 a second, until ctx ends.
func (m *memcached) flood(ctx context.Context) error {
	conn, err := m.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	out := bufio.NewWriter(conn)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		for range 20 {
			size := 16 + n*37%1500
			_, _ = fmt.Fprintf(out, "set flood:%d 0 0 %d noreply\r\n%s\r\n", n, size, strings.Repeat("x", size))
			n++
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("flood memcached: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
