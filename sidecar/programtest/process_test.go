package programtest_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

const patience = 10 * time.Second

func sh(t *testing.T, script string) *programtest.Process {
	t.Helper()
	return programtest.Start(t, []string{"WORD=here"}, "/bin/sh", "-c", script)
}

// A test reads what a program has printed while it runs.
func TestProcess_OutputIsReadableWhileRunning(t *testing.T) {
	t.Parallel()
	p := sh(t, `echo "$WORD $HOME"; echo there >&2; read -r nothing; exit 3`)
	require.Eventually(t, func() bool { return p.Stdout.String() == "here \n" && p.Stderr.String() == "there\n" }, patience, time.Millisecond)
	select {
	case <-p.Ended:
		assert.Fail(t, "it waits for its input")
	default:
	}
	require.NoError(t, p.Stdin.Close())
	assert.Equal(t, 3, p.Ends(t, patience))
}

// A program ends with its test, even if it is stopped by SIGSTOP.
func TestProcess_EndsWithItsTest(t *testing.T) {
	t.Parallel()
	var p *programtest.Process
	require.True(t, t.Run("its test", func(t *testing.T) {
		p = sh(t, "while :; do read -r nothing; done")
		p.Signal(syscall.SIGSTOP)
	}))
	assert.Equal(t, -1, p.Ends(t, patience), "killed")
	p.Kill()
}

// recorder is a testing.TB that records errors.
type recorder struct {
	testing.TB
	errors []string
}

func (*recorder) Helper() {}

func (f *recorder) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

// A canary in an output fails the test and is not printed.
func TestAssertNoCanary_DoesNotPrintIt(t *testing.T) {
	t.Parallel()
	for text, errors := range map[string]int{
		"": 0, "a canary, a secret, a token": 0,
		"its canary" + "secret": 1, "canary" + "token-1": 1, "canary" + "token, canary" + "secret": 2,
	} {
		f := &recorder{TB: t}
		assert.Equal(t, errors == 0, programtest.AssertNoCanary(f, text))
		assert.Len(t, f.errors, errors)
		printed := strings.Contains(strings.Join(f.errors, ""), "canary") // claimed of a bool: a failure prints what it compares
		assert.False(t, printed)
	}
}

func TestRedact_RemovesSecretsAndTokens(t *testing.T) {
	t.Parallel()
	text := `GET /x?secret=canary` + `secret01ab&y=1 {"t":"canary` + `token-7_x"} canary`
	same := programtest.Redact(text) == `GET /x?secret=REDACTED&y=1 {"t":"REDACTED"} canary` // a bool: a failure prints no secret
	assert.True(t, same)
}
