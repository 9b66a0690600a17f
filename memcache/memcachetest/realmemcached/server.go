// Package realmemcached is the real memcached for tests: the program itself, on
// loopback, killed with the test that started it. Debian has it in the package
// memcached; a test that needs it fails without, and does not skip itself, or it
// would pass without having run.
//
// A [Server] stays at its address. Killed, frozen by a signal, and started again,
// empty, it does what happens to memcached beside a sidecar:
//
//	m := realmemcached.Start(t, "")
//	m.Ask(t, "get wx1") // END
//	m.Signal(syscall.SIGSTOP)
//	m.Signal(syscall.SIGCONT)
//	m.Restart(t)
//
// It is no part of memcachetest, the fake that the demo links.
package realmemcached

import (
	"bytes"
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

// patience is how long it may take what a busy machine still does.
const patience = 10 * time.Second

// Server is a memcached. One goroutine at a time may kill, restart and signal it.
type Server struct {
	Address string // host:port, for as long as the test runs

	program string
	args    []string
	process *exec.Cmd
	stderr  *bytes.Buffer // to be read once it has ended
	ended   chan struct{} // closed once it has
}

// Start starts memcached at address, or at a free one where address is empty, and
// returns once it answers. It has 16 MB and two threads, unless args, the program's
// own, say otherwise.
func Start(t *testing.T, address string, args ...string) *Server {
	t.Helper()
	program, err := exec.LookPath("memcached")
	if err != nil {
		t.Fatal("memcached is not installed: run .ci/setup")
	}
	s := &Server{Address: address, program: program, args: args}
	t.Cleanup(s.Kill)
	if address != "" {
		s.Restart(t)
		return s
	}
	for s.Address = nextAddress(); ; s.Address = nextAddress() {
		switch err := s.start(); {
		case err == nil:
			return s
		case !strings.Contains(err.Error(), "Address already in use"):
			t.Fatal(err)
		}
	}
}

// Restart kills it if it runs, and starts it at the same address, empty.
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
		args = append(args, "-u", "nobody") // root must name somebody
	}
	process, stderr, ended := exec.Command(s.program, append(args, s.args...)...), &bytes.Buffer{}, make(chan struct{}) //nolint:gosec,noctx // a fixed program, ended by Kill
	process.Stderr = stderr
	if err := process.Start(); err != nil {
		return err
	}
	go func() {
		defer close(ended)
		_ = process.Wait() // who killed it knows why it ended
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
			return fmt.Errorf("memcached at %s ended: %s", s.Address, strings.TrimSpace(s.stderr.String()))
		case <-late:
			return fmt.Errorf("memcached at %s does not answer within %s", s.Address, patience)
		case <-tick.C:
		}
	}
	return nil
}

// answers reports whether somebody answers there who is this very process: at a
// port that was taken meanwhile, another test's memcached would.
func (s *Server) answers() bool {
	first, err := s.ask("stats")
	return err == nil && first == "STAT pid "+strconv.Itoa(s.process.Process.Pid)
}

// Kill ends it at once, and waits. What has ended already may be killed again.
func (s *Server) Kill() {
	if s.process == nil {
		return // it never started
	}
	_ = s.process.Process.Kill() // it may have ended
	<-s.ended
}

// Signal sends it a signal: SIGSTOP freezes it, SIGCONT thaws it.
func (s *Server) Signal(signal os.Signal) { _ = s.process.Process.Signal(signal) } // it may have ended

// Ask says a command over a connection of its own, and returns the first line of
// the answer. A command with data has "\r\n" within.
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
	answer, err := io.ReadAll(conn) // to its end: memcached has then forgotten the connection
	if err != nil {
		return "", err
	}
	line, _, whole := strings.Cut(string(answer), "\r\n")
	if !whole {
		return "", io.ErrUnexpectedEOF
	}
	return line, nil
}
