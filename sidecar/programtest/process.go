// Package programtest runs programs for tests, the sidecar above all, as processes
// of their own: killed at the end of the test that started them, and with what
// they print at hand while they run.
//
// The AppSecrets and tokens of the tests all have a word in them that nothing else
// has. [AssertNoCanary] looks for it in what a program printed, and so does CI in
// all that the tests print.
package programtest

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Process is a program that runs, at the latest until its test ends.
type Process struct {
	Command *exec.Cmd     // its ProcessState is there once Ended is closed
	Stdin   io.Closer     // a program that reads it may be told so that nothing more comes
	Ended   chan struct{} // closed once it has ended
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
		_ = p.Command.Wait() // the exit code tells
	}()
	t.Cleanup(p.Kill)
	return p
}

// Signal sends it a signal.
func (p *Process) Signal(signal os.Signal) { _ = p.Command.Process.Signal(signal) } // it may have ended

// Kill ends it at once, frozen or not, and waits.
func (p *Process) Kill() {
	p.Signal(os.Kill)
	<-p.Ended
}

// Ends waits for its end, and returns the exit code.
func (p *Process) Ends(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.Ended:
		return p.Command.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("%s did not end within %s", p.Command.Path, within)
		return -1
	}
}
