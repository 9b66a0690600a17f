package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// process is the program as a process of its own.
type process struct {
	command        *exec.Cmd
	ended          chan struct{} // closed once it has ended
	stdout, stderr output
}

// spawn starts the program with these variables and no others.
func spawn(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	return spawnProgram(t, binary(t), environ, args...)
}

func spawnProgram(t *testing.T, path string, environ []string, args ...string) *process {
	t.Helper()
	p := &process{command: exec.Command(path, args...), ended: make(chan struct{})}
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environ...)
	p.command.Stdout, p.command.Stderr = &p.stdout, &p.stderr
	require.NoError(t, p.command.Start())
	go func() {
		defer close(p.ended)
		_ = p.command.Wait() // the exit code tells
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		p.signal(syscall.SIGCONT)
		<-p.ended
	})
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.command.Process.Signal(s) } // it may have ended

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// terminates sends SIGTERM and returns the exit code.
func (p *process) terminates(t *testing.T) int {
	t.Helper()
	p.signal(syscall.SIGTERM)
	return p.ends(t, stopsWithin)
}

func (p *process) ends(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.command.ProcessState.ExitCode()
	case <-time.After(within):
		require.Fail(t, "the process did not end in time")
		return -1
	}
}

// app is the variables of an app.
func (w *world) app() []string {
	return []string{"WECHAT_APPID=" + appID, "MEMCACHED_SERVERS=" + w.server, "SIDECAR_URL=unix://" + w.socket}
}

func TestTokenPrintsTheTokenThatAnAppWouldGet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start(t, w.environ)
	for _, p := range []*process{
		spawn(t, w.app(), "token"),
		spawn(t, w.app(), "token", appID),
		spawn(t, w.app()[1:], "token", appID),
		spawn(t, append(w.app(), "WECHAT_APPID=wxother"), "token", appID),
	} {
		assert.Equal(t, exitFine, p.ends(t, patience))
		assertSame(t, w.last()+"\n", p.stdout.String(), "nothing but the token")
		assert.Empty(t, p.stderr.String())
	}
}

func TestTokenSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := spawn(t, w.app()[1:], "token")
	assert.Equal(t, exitBadUsage, p.ends(t, patience))
	assert.Contains(t, p.stderr.String(), "WECHAT_APPID")
	p = spawn(t, w.app(), "token") // nobody put one there, and no sidecar runs
	assert.Equal(t, exitFailed, p.ends(t, patience))
	assert.Contains(t, p.stderr.String(), "is the sidecar running")
	assert.Empty(t, p.stdout.String())
}

func TestWatchTellsFingerprintSourceAndAgeAndSurvivesErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sidecar := start(t, w.environ)
	store := w.store(t)
	eventually(t, func() bool { return entry(t, store) != "" }, "an entry")
	p := spawn(t, w.app(), "token", "--watch")
	print := memcache.Fingerprint(w.last())
	line := func(text string) func() bool {
		return func() bool { return strings.Contains(p.stdout.String(), text) }
	}
	eventually(t, line(print+"  from memcached  seen for 1s"), "a second line from memcached")
	w.memcached.SetFault(memcachetest.Refuse)
	eventually(t, line(print+"  from sidecar    seen for "), "a line from the sidecar")
	sidecar.stop()
	assert.Equal(t, exitFine, sidecar.ends(t))
	eventually(t, line("no token: client: get access_token"), "an error")
	w.memcached.SetFault(memcachetest.None)
	failed := strings.Count(p.stdout.String(), "\n")
	eventually(t, func() bool {
		return strings.Contains(lastLine(p.stdout.String()), "from memcached") && strings.Count(p.stdout.String(), "\n") > failed
	}, "it recovers")
	assert.Equal(t, exitFine, p.terminates(t))
	assert.Regexp(t, `^\d\d:\d\d:\d\d `+appID+`  [0-9a-f]{8}  from \w+ +seen for \d+s\n`, p.stdout.String())
	assert.Empty(t, p.stderr.String())
	assertNoCanary(t, p.stdout.String())
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
