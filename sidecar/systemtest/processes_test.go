package systemtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// fleetPlan is the size of a run.
type fleetPlan struct {
	sidecars, readers, rounds int
	life                      time.Duration // of a token; it is due at half of it
	frozen                    time.Duration // how long memcached is stopped
}

// Real sidecars, a real memcached and a WeChat over https have faults: kill -9, SIGSTOP
// and SIGCONT of sidecars and of memcached, and memcached restarts empty. By default few
// sidecars run for a short time. WXSIDECAR_PROCS=16 runs as many for minutes.
//
// Faults come while no request to WeChat is open. A sidecar that is killed during its
// request can lose the token: the lease expires after 15 s, another sidecar renews, and
// the old token stays valid for 300 s. So one request is not enough then.
func TestProcesses_SurviveFaults(t *testing.T) {
	t.Parallel()
	plan := fleetPlan{sidecars: 4, readers: 16, rounds: 1, life: 20 * time.Second, frozen: 500 * time.Millisecond}
	if n, err := strconv.Atoi(os.Getenv("WXSIDECAR_PROCS")); err == nil && n > 0 {
		plan = fleetPlan{sidecars: max(n, 4), readers: 64, rounds: 4, life: time.Minute, frozen: 3 * time.Second}
	}
	f := newFleet(t, plan)
	f.start(t)
	for range plan.rounds {
		f.round(t)
	}
	f.stop(t)
	f.report(t)
	assert.Zero(t, f.invalid.Load(), "invalid tokens read")
	assert.Zero(t, f.failed.Load(), "reads that failed")
	assert.Positive(t, f.reads.Load())
}

// readTimeout is longer than the default of 200 ms, since the whole fleet is on one
// machine and a reader of a killed sidecar has only memcached.
const readTimeout = time.Second

// fleet are sidecars, their readers and their backends.
type fleet struct {
	fleetPlan
	wechat    *wechattest.Server
	memcached *realMemcached
	sidecars  []*process
	environs  [][]string
	sockets   []string

	endReading             chan struct{}
	reading                sync.WaitGroup
	reads, invalid, failed atomic.Int64
	renewals, requests     int             // while only idle sidecars had faults
	requestsByRestart      int             // from memcached's end to the new entry
	requestsByFreeze       int             // while memcached was stopped
	backAfter, stopAfter   []time.Duration // entry after memcached's restart; exit after SIGTERM
}

func newFleet(t *testing.T, plan fleetPlan) *fleet {
	t.Helper()
	f := &fleet{fleetPlan: plan, wechat: wechattest.New(), memcached: newRealMemcached(t), endReading: make(chan struct{})}
	f.wechat.AddAccount(appID, testSecret)
	f.wechat.SetExpiresIn(plan.life)
	f.wechat.SetGrace(plan.life / 4)
	url, certificate, stop, err := f.wechat.ListenTLS()
	require.NoError(t, err)
	t.Cleanup(stop)
	dir := programtest.ShortDir(t)
	trusted := programtest.WriteFile(t, filepath.Join(dir, "ca.pem"), string(certificate))
	secretFile := programtest.WriteFile(t, filepath.Join(dir, "accounts", appID), testSecret+"\n")
	for i := range plan.sidecars {
		f.sockets = append(f.sockets, filepath.Join(dir, fmt.Sprintf("%d.sock", i)))
		f.environs = append(f.environs, []string{
			"WECHAT_ACCOUNTS_DIR=" + filepath.Dir(secretFile), "WECHAT_BASE_URL=" + url, "SSL_CERT_FILE=" + trusted,
			"MEMCACHED_SERVERS=" + f.memcached.Address, "SIDECAR_LISTEN=unix://" + f.sockets[i], "SIDECAR_OPS_LISTEN=off",
		})
	}
	return f
}

// start starts all sidecars at once. One of them makes the request.
func (f *fleet) start(t *testing.T) {
	t.Helper()
	for _, environ := range f.environs {
		f.sidecars = append(f.sidecars, spawn(t, environ))
	}
	eventually(t, func() bool { return programtest.Entry(t, f.memcached.store) != "" }, "the first entry")
	for i := range f.readers {
		c, err := client.New(client.Config{
			AppID: appID, Servers: []string{f.memcached.Address}, Sidecar: "unix://" + f.sockets[i%f.sidecarCount()],
			Timeout: readTimeout,
		})
		require.NoError(t, err)
		f.reading.Go(func() { f.read(t, c) })
	}
	f.quietFor(t, time.Second, "one request for the first token", 1)
	f.renewals, f.requests = 1, f.wechat.Calls("", "")
}

func (f *fleet) sidecarCount() int { return f.fleetPlan.sidecars }

// read reads until the fleet stops. WeChat judges each token as it is read.
func (f *fleet) read(t *testing.T, c *client.Client) {
	t.Helper()
	defer func() { _ = c.Close() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-f.endReading:
			return
		case <-tick.C:
		}
		token, err := c.AccessToken(t.Context())
		switch {
		case err != nil:
			if f.failed.Add(1) == 1 {
				t.Logf("the first read that failed: %v", err)
			}
		case f.wechat.Accepts(token) != 0:
			f.invalid.Add(1)
		}
		f.reads.Add(1)
	}
}

// round begins just after a renewal and ends just after the next one.
func (f *fleet) round(t *testing.T) {
	t.Helper()
	// memcached restarts empty: the sidecars still have the token.
	before := f.wechat.Calls("", "")
	begin := time.Now()
	f.memcached.Restart(t)
	require.Eventually(t, func() bool { return programtest.Entry(t, f.memcached.store) != "" }, 16*time.Second, time.Millisecond, "the entry is back")
	f.backAfter = append(f.backAfter, time.Since(begin))
	f.requestsByRestart += f.wechat.Calls("", "") - before
	assert.Zero(t, f.wechat.Calls("", "")-before, "requests because memcached restarted")

	// memcached is stopped for a while: the sidecars answer.
	before = f.wechat.Calls("", "")
	f.memcached.Signal(syscall.SIGSTOP)
	f.quietFor(t, f.frozen, "requests while memcached is stopped", before)
	f.memcached.Signal(syscall.SIGCONT)
	// Reads that began meanwhile must end before their sidecar is killed: without both
	// there is no token.
	f.quietFor(t, 2*readTimeout, "requests because memcached was stopped", before)
	f.requestsByFreeze += f.wechat.Calls("", "") - before

	// During the renewal a quarter of the sidecars is killed, a quarter stopped.
	quarter := f.sidecarCount() / 4
	for i := range quarter {
		f.sidecars[i].Kill()
		f.sidecars[quarter+i].Signal(syscall.SIGSTOP)
	}
	before = f.wechat.Calls("", "")
	require.Eventually(t, func() bool { return f.wechat.Calls("", "") > before }, f.life, often, "the next renewal")
	for i := range quarter {
		f.sidecars[i] = spawn(t, f.environs[i])
		f.sidecars[quarter+i].Signal(syscall.SIGCONT)
	}
	// The last sidecars see the new token within a twentieth of its life, because of
	// their jitter. If memcached is lost before that, one of them can make one more
	// request: its own token is due, and nothing is newer.
	f.quietFor(t, f.life/20+2*time.Second, "one request for a renewal, whichever sidecars are gone or come back", before+1)
	f.renewals, f.requests = f.renewals+1, f.requests+f.wechat.Calls("", "")-before
}

// quietFor asserts that WeChat gets no further requests.
func (f *fleet) quietFor(t *testing.T, d time.Duration, claim string, requests int) {
	t.Helper()
	assert.Never(t, func() bool { return f.wechat.Calls("", "") != requests }, d, often, claim)
}

// stop ends readers and sidecars as Kubernetes does.
func (f *fleet) stop(t *testing.T) {
	t.Helper()
	close(f.endReading)
	f.reading.Wait()
	var ending sync.WaitGroup
	f.stopAfter = make([]time.Duration, len(f.sidecars))
	for i, p := range f.sidecars {
		begin := time.Now()
		p.Signal(syscall.SIGTERM)
		ending.Go(func() {
			<-p.Ended
			f.stopAfter[i] = time.Since(begin)
		})
	}
	ending.Wait()
	for i, p := range f.sidecars {
		assert.Equal(t, exitFine, p.Command.ProcessState.ExitCode())
		assert.Less(t, f.stopAfter[i], stopsWithin)
		programtest.AssertNoCanary(t, p.Stderr.String()+p.Stdout.String())
	}
}

// report prints the figures.
func (f *fleet) report(t *testing.T) {
	t.Helper()
	var text strings.Builder
	for _, line := range []struct {
		name  string
		value any
	}{
		{"sidecars, readers", fmt.Sprintf("%d, %d", f.sidecarCount(), f.readers)},
		{"tokens read", f.reads.Load()},
		{"invalid tokens read", f.invalid.Load()},
		{"reads that failed", f.failed.Load()},
		{"renewals", f.renewals},
		{"requests for them", f.requests},
		{"requests because memcached restarted", f.requestsByRestart},
		{"requests because memcached was stopped", f.requestsByFreeze},
		{"entry back after memcached's restart", longest(f.backAfter)},
		{"exit after SIGTERM, the slowest", longest(f.stopAfter)},
	} {
		fmt.Fprintf(&text, "\n  %-36s %v", line.name, line.value)
	}
	t.Log(text.String())
}

func longest(all []time.Duration) time.Duration {
	var most time.Duration
	for _, d := range all {
		most = max(most, d)
	}
	return most.Round(time.Millisecond)
}
