package sdktest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long something may take that a busy machine still does.
const patience = 30 * time.Second

// process is a program that runs, at the latest until its test ends.
type process struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	ended   chan struct{} // closed once it has ended
	stdout  output
	stderr  output
}

// spawn starts a program with these variables and no others.
func spawn(t *testing.T, environ []string, path string, args ...string) *process {
	t.Helper()
	p := &process{command: exec.Command(path, args...), ended: make(chan struct{})}
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environ...)
	p.command.Stdout, p.command.Stderr = &p.stdout, &p.stderr
	var err error
	p.stdin, err = p.command.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.command.Start())
	go func() {
		defer close(p.ended)
		_ = p.command.Wait() // the exit code tells
	}()
	t.Cleanup(func() {
		p.kill()
		assertNoCanary(t, p.stdout.String()+p.stderr.String())
	})
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.command.Process.Signal(s) } // it may have ended

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// finish closes the program's standard input, which tells it to end, and waits.
func (p *process) finish(t *testing.T) {
	t.Helper()
	_ = p.stdin.Close()
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.Fail(t, "a program does not end")
	}
}

// output is what a program prints, readable while it runs.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// assertNoCanary says that neither a secret nor a token was printed, without
// printing it.
func assertNoCanary(t *testing.T, text string) {
	t.Helper()
	assert.Zero(t, strings.Count(text, "canary"+"secret"), "an AppSecret was printed")
	assert.Zero(t, strings.Count(text, "canary"+"token"), "a token was printed")
}
