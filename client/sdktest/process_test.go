package sdktest

import (
	"testing"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// patience is how long something may take that a busy machine still does.
const patience = 30 * time.Second

// spawn starts a program with these variables and no others. It must print no
// secret and no token.
func spawn(t *testing.T, environ []string, path string, args ...string) *programtest.Process {
	t.Helper()
	p := programtest.Start(t, environ, path, args...)
	t.Cleanup(func() {
		p.Kill()
		programtest.AssertNoCanary(t, p.Stdout.String()+p.Stderr.String())
	})
	return p
}
