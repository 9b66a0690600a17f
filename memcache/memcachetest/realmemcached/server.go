// Package realmemcached runs the real memcached for tests, on loopback. It is killed
// with the test that started it. Debian has it in the package memcached. Without it, a
// test fails instead of being skipped.
//
// A [Server] keeps its address. It can be killed, frozen by a signal, and started again,
// empty:
//
//	m := realmemcached.Start(t, "")
//	m.Ask(t, "get wx1") // END
//	m.Signal(syscall.SIGSTOP)
//	m.Signal(syscall.SIGCONT)
//	m.Restart(t)
//
// It is not part of memcachetest, because the demo links that.
package realmemcached

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds each step, also on a busy machine.
const patience = 10 * time.Second

// errCannotListen: memcached ended with EX_OSERR of sysexits.h.
var errCannotListen = errors.New("memcached cannot listen")

// Server is a memcached process. Only one goroutine at a time can kill, restart and
// signal it.
type Server struct {
	Address string // host:port, for as long as the test runs

	program string
	args    []string
	guarded bool // it answers nobody who does not use TLS or authentication
	process *exec.Cmd
	stderr  *bytes.Buffer // complete once ended is closed
	ended   chan struct{} // closed after the process ended
}

// Start starts memcached and returns once it answers. An empty address means a free one.
// It has 16 MB and two threads, unless the program's arguments args say otherwise.
func Start(t *testing.T, address string, args ...string) *Server {
	t.Helper()
	return start(t, &Server{Address: address, args: args})
}

// StartGuarded starts a memcached that demands TLS or authentication at a free address,
// and returns once it accepts connections.
func StartGuarded(t *testing.T, args ...string) *Server {
	t.Helper()
	return start(t, &Server{args: args, guarded: true})
}

func start(t *testing.T, s *Server) *Server {
	t.Helper()
	program, err := exec.LookPath("memcached")
	if err != nil {
		t.Fatal("memcached is not installed: run .ci/setup")
	}
	s.program = program
	t.Cleanup(s.Kill)
	if s.Address != "" {
		s.Restart(t)
		return s
	}
	for s.Address = nextAddress(); ; s.Address = nextAddress() {
		switch err := s.start(); {
		case err == nil:
			return s
		case !errors.Is(err, errCannotListen):
			t.Fatal(err)
		}
	}
}

// Restart kills the process if it runs, and starts an empty one at the same address.
func (s *Server) Restart(t *testing.T) {
	t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) start() error {
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return err
	}
	args := []string{"-l", host, "-p", port, "-U", "0", "-m", "16", "-t", "2"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody") // root must name another user
	}
	process, stderr, ended := exec.Command(s.program, append(args, s.args...)...), &bytes.Buffer{}, make(chan struct{}) //nolint:gosec,noctx // a fixed program, ended by Kill
	process.Stderr = stderr
	if err := process.Start(); err != nil {
		return err
	}
	go func() {
		defer close(ended)
		_ = process.Wait() // its end is expected or reported by awaitAnswer
	}()
	s.process, s.stderr, s.ended = process, stderr, ended
	return s.awaitAnswer()
}

func (s *Server) awaitAnswer() error {
	tick, late := time.NewTicker(time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !s.answers() {
		select {
		case <-s.ended:
			if s.process.ProcessState.ExitCode() == 71 {
				return fmt.Errorf("%w at %s: %s", errCannotListen, s.Address, strings.TrimSpace(s.stderr.String()))
			}
			return fmt.Errorf("memcached at %s ended: %s", s.Address, strings.TrimSpace(s.stderr.String()))
		case <-late:
			return fmt.Errorf("memcached at %s does not answer within %s", s.Address, patience)
		case <-tick.C:
		}
	}
	return nil
}

// answers reports whether this very process answers. If the port was taken meanwhile,
// another test's memcached answers.
func (s *Server) answers() bool {
	if s.guarded {
		conn, err := net.DialTimeout("tcp", s.Address, patience) //nolint:noctx // it has a limit
		return err == nil && conn.Close() == nil
	}
	first, err := s.ask("stats")
	return err == nil && first == "STAT pid "+strconv.Itoa(s.process.Process.Pid)
}

// Kill ends the process at once, and waits. It does nothing if the process has ended.
func (s *Server) Kill() {
	if s.process == nil {
		return // it never started
	}
	_ = s.process.Process.Kill() // it may have ended
	<-s.ended
}

// Signal sends a signal: SIGSTOP freezes the process, and SIGCONT thaws it.
func (s *Server) Signal(signal os.Signal) { _ = s.process.Process.Signal(signal) } // it may have ended

// Ask sends a command over its own connection, and returns the first line of the answer.
// A command with data contains "\r\n".
func (s *Server) Ask(t *testing.T, command string) string {
	t.Helper()
	line, err := s.ask(command)
	if err != nil {
		t.Fatalf("ask memcached: %v", err)
	}
	return line
}

func (s *Server) ask(command string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Address, patience) //nolint:noctx // it has a limit
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, command+"\r\nquit\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn) // to the end, so that memcached has closed the connection
	if err != nil {
		return "", err
	}
	line, _, whole := strings.Cut(string(answer), "\r\n")
	if !whole {
		return "", io.ErrUnexpectedEOF
	}
	return line, nil
}
