package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

const (
	appID      = programtest.AppID
	testSecret = programtest.AppSecret
	patience   = 10 * time.Second
	often      = 10 * time.Millisecond
	// stopsWithin is how long the manifests give a sidecar to stop.
	stopsWithin = 5 * time.Second
)

// runCLI runs the program to its end. After a minute it stops it, as SIGTERM does: a
// configuration that should be wrong is not.
func runCLI(t *testing.T, environ []string, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errs programtest.Output
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exit = run(ctx, args, environ, &out, &errs)
	return exit, out.String(), errs.String()
}

// running is the program within the test's process.
type running struct {
	stop   context.CancelFunc // is SIGTERM
	exit   chan int
	stdout programtest.Output
	stderr programtest.Output
}

func start(t *testing.T, environ []string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{stop: cancel, exit: make(chan int, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.exit <- run(ctx, nil, environ, &r.stdout, &r.stderr)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		programtest.AssertNoCanary(t, r.stderr.String())
	})
	return r
}

// ends waits for the end after a stop, and returns the exit code.
func (r *running) ends(t *testing.T) int {
	t.Helper()
	select {
	case exit := <-r.exit:
		return exit
	case <-time.After(stopsWithin):
		require.Fail(t, "the program did not end in time")
		return -1
	}
}

// newClient returns the client of an app beside the sidecar.
func newClient(t *testing.T, w *programtest.Backends) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{AppID: appID, Servers: []string{w.MemcachedAddress}, Sidecar: "unix://" + w.Socket})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// assertSame compares two secrets without printing them.
func assertSame(t *testing.T, want, got, claim string) {
	t.Helper()
	assert.Equal(t, memcache.Fingerprint(want), memcache.Fingerprint(got), claim)
}

func eventually(t *testing.T, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, patience, often, what)
}
