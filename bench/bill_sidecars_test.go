//go:build bill

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// memoryReturned is when a sidecar has given back the memory of its TLS requests: 22 s
// after the last of them at most.
const memoryReturned = 24 * time.Second

// idleSidecar is a sidecar without readers, with a memcached of its own.
type idleSidecar struct {
	*server
	memcached *program.Memcached
	appIDs    []string
}

// startIdle starts a sidecar with n accounts and waits until every account has its
// token. One account is the account of all measurements.
func (f *fixture) startIdle(t *testing.T, n int) idleSidecar {
	t.Helper()
	s := idleSidecar{memcached: f.startMemcached(t), appIDs: []string{appID}}
	environ := []string{"MEMCACHED_SERVERS=" + s.memcached.Address, "MEMCACHED_KEY_PREFIX=" + billPrefix}
	before := f.wechat.Issues("")
	var err error
	if n == 1 {
		s.server, err = f.startSidecar(t.Context(), tcp, environ...)
	} else {
		var folder string
		folder, s.appIDs = f.addAccounts(t, n)
		s.server, err = f.startSidecarOf(t.Context(), tcp, append(environ, "WECHAT_ACCOUNTS_DIR="+folder)...)
	}
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	issued := func() bool { return f.wechat.Issues("")-before >= n }
	require.NoError(t, s.Until(t.Context(), 10*time.Millisecond, issued))
	return s
}

func (f *fixture) startMemcached(t *testing.T) *program.Memcached {
	t.Helper()
	address, err := programtest.FreeAddress()
	require.NoError(t, err)
	m, err := program.StartMemcached(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(m.Kill)
	return m
}

// addAccounts adds n accounts to WeChat and returns a folder with their files.
func (f *fixture) addAccounts(t *testing.T, n int) (folder string, appIDs []string) {
	t.Helper()
	name := f.name("accounts")
	folder = filepath.Join(f.dir, name)
	require.NoError(t, os.Mkdir(folder, 0o700))
	for i := range n {
		id := fmt.Sprintf("wx%s%08d", name, i)
		f.wechat.AddAccount(id, appSecret)
		_, err := f.write(filepath.Join(name, id), appSecret)
		require.NoError(t, err)
		appIDs = append(appIDs, id)
	}
	return folder, appIDs
}

// firstLivez returns how long a sidecar takes from exec to its first answer.
func (f *fixture) firstLivez(ctx context.Context) (float64, error) {
	ops, err := programtest.FreeAddress()
	if err != nil {
		return 0, err
	}
	s, err := f.startSidecar(ctx, unixSocket, "SIDECAR_OPS_LISTEN="+ops)
	if err != nil {
		return 0, err
	}
	return s.start(ctx, ops, "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
}

// firstOfFloor returns the same of the floor.
func (f *fixture) firstOfFloor(ctx context.Context) (float64, error) {
	s, err := f.startFloor(ctx, tcp)
	if err != nil {
		return 0, err
	}
	return s.start(ctx, s.address, tokenRequest)
}

// start returns the time from exec to the first answer, and ends the server.
func (s *server) start(ctx context.Context, address, request string) (float64, error) {
	defer s.Kill()
	at, err := s.firstAnswer(ctx, address, request)
	return float64(at.Sub(s.Began)), err
}

// cpu returns the processor time that a process has used, in nanoseconds.
func cpu(p *program.Process) (float64, error) {
	threads, err := filepath.Glob(proc(p, "task", "*", "schedstat"))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("%s has no schedstat: use Linux", proc(p))
	}
	sum := 0.0
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has just ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseFloat(first, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		sum += ns
	}
	return sum, nil
}

func proc(p *program.Process, path ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(p.Cmd.Process.Pid)}, path...)...)
}

// memories returns the private memory of each process, in MB.
func memories(t *testing.T, all ...*program.Process) samples {
	t.Helper()
	found := make(samples, len(all))
	for i, p := range all {
		text, err := os.ReadFile(proc(p, "smaps_rollup"))
		require.NoError(t, err)
		_, rest, ok := strings.Cut(string(text), "\nAnonymous:")
		require.True(t, ok, "smaps_rollup has no line Anonymous")
		_, err = fmt.Sscanf(rest, "%f kB", &found[i])
		require.NoError(t, err)
		found[i] *= 1024 / 1e6
	}
	return found
}

// memoriesAfter returns the same after each server has answered busyRequests.
func memoriesAfter(t *testing.T, request string, all ...*server) samples {
	t.Helper()
	found := make(samples, 0, len(all))
	for _, s := range all {
		c, err := newCallers(t.Context(), s, request, apiCallers)
		require.NoError(t, err)
		_, err = c.batch(busyRequests)
		c.close()
		require.NoError(t, err)
		found = append(found, memories(t, s.Process)...)
	}
	return found
}
