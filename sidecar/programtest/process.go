// Package programtest runs programs for tests, mainly the sidecar, as processes. A test
// reads their output while they run, and they are killed at its end. [Backends] are what
// a sidecar needs.
//
// The AppSecrets and tokens of all tests contain a planted word. [AssertNoCanary]
// searches a program's output for it. CI searches everything that the tests print.
package programtest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Process is a running program. It ends with its test at the latest.
type Process struct {
	Command *exec.Cmd // its ProcessState is set once Ended is closed
	Stdin   io.WriteCloser
	Ended   chan struct{} // closed at its end
	Stdout  Output
	Stderr  Output
}

// Start starts a program with these variables, PATH and GOCOVERDIR, and no others.
func Start(t *testing.T, environ []string, path string, args ...string) *Process {
	t.Helper()
	p := &Process{Command: exec.Command(path, args...), Ended: make(chan struct{})} //nolint:gosec,noctx // the test's own, ended by Kill
	p.Command.Env = []string{"PATH=" + os.Getenv("PATH")}
	if folder := os.Getenv("GOCOVERDIR"); folder != "" {
		p.Command.Env = append(p.Command.Env, "GOCOVERDIR="+folder)
	}
	p.Command.Env = append(p.Command.Env, environ...)
	p.Command.Stdout, p.Command.Stderr = &p.Stdout, &p.Stderr
	var err error
	if p.Stdin, err = p.Command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.Ended)
		_ = p.Command.Wait() // ProcessState has the exit code
	}()
	t.Cleanup(p.Kill)
	return p
}

// Signal sends a signal.
func (p *Process) Signal(signal os.Signal) { _ = p.Command.Process.Signal(signal) } // it may have ended

// Kill ends the program at once, even if it is stopped, and waits for it.
func (p *Process) Kill() {
	p.Signal(os.Kill)
	<-p.Ended
}

// Where says what the kernel knows of the process, on Linux: its program, its state, and the
// kernel's function that it waits in.
func (p *Process) Where() string {
	var all []string
	for _, name := range []string{"comm", "stat", "wchan", "stack"} {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.Command.Process.Pid), name)) //nolint:gosec // of a process of our own
		if err == nil {
			all = append(all, name+": "+strings.TrimSpace(string(text)))
		}
	}
	return strings.Join(all, "; ")
}

// Ends waits for the end and returns the exit code.
func (p *Process) Ends(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.Ended:
		return p.Command.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("%s did not end within %s: %s", p.Command.Path, within, p.Where())
		return -1
	}
}
