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

// fleetPlan is how much a run of the fleet takes on.
type fleetPlan struct {
	sidecars, readers, rounds int
	life                      time.Duration // of a token; it is due at half of it
	frozen                    time.Duration // how long memcached stands still
}

// TestProcesses runs real sidecars against a real memcached and a WeChat over
// https, and hurts them: kill -9, SIGSTOP and SIGCONT of sidecars and of
// memcached, memcached restarted empty. The default run is a short one with few
// sidecars; WXSIDECAR_PROCS=16 asks for as many, and minutes of it.
//
// What it does not claim, because nobody can: that one call suffices when a
// sidecar is killed or frozen while its call to WeChat is open. Then the token
// that WeChat issued may be lost; the lease lapses after 15 s, another sidecar
// renews, and the old token works for WeChat's 300 s meanwhile. So sidecars are
// hurt here while no call is open, and memcached once all have seen the renewal.
func TestProcesses(t *testing.T) {
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
	assert.Zero(t, f.dead.Load(), "dead tokens read")
	assert.Zero(t, f.failed.Load(), "reads that failed")
	assert.Positive(t, f.reads.Load())
}

// readTimeout is longer than the default of 200 ms: the whole fleet and its
// readers are on one machine, and a reader of a killed sidecar has only memcached.
const readTimeout = time.Second

// fleet is the sidecars, their readers and what they live on.
type fleet struct {
	fleetPlan
	wechat    *wechattest.Server
	memcached *realMemcached
	sidecars  []*process
	environs  [][]string
	sockets   []string

	endReading           chan struct{}
	reading              sync.WaitGroup
	reads, dead, failed  atomic.Int64
	renewals, calls      int             // while nothing was hurt but idle sidecars
	callsByRestart       int             // in the time from memcached's death to its entry
	callsByFreeze        int             // while memcached stood still
	backAfter, stopAfter []time.Duration // entry after memcached's restart; exit after SIGTERM
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

// start starts all sidecars at once: one of them calls.
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
	f.quietFor(t, time.Second, "one call for the first token of all", 1)
	f.renewals, f.calls = 1, f.wechat.Calls("", "")
}

func (f *fleet) sidecarCount() int { return f.fleetPlan.sidecars }

// read reads until the fleet stops. WeChat judges each token in the moment in
// which it was read.
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
			f.dead.Add(1)
		}
		f.reads.Add(1)
	}
}

// round begins just after a renewal and ends just after the next one.
func (f *fleet) round(t *testing.T) {
	t.Helper()
	// memcached dies and comes back empty: everybody remembers.
	before := f.wechat.Calls("", "")
	begin := time.Now()
	f.memcached.Restart(t)
	require.Eventually(t, func() bool { return programtest.Entry(t, f.memcached.store) != "" }, 16*time.Second, time.Millisecond, "the entry is back")
	f.backAfter = append(f.backAfter, time.Since(begin))
	f.callsByRestart += f.wechat.Calls("", "") - before
	assert.Zero(t, f.wechat.Calls("", "")-before, "calls because memcached restarted")

	// memcached stands still for a while: the sidecars answer.
	before = f.wechat.Calls("", "")
	f.memcached.Signal(syscall.SIGSTOP)
	f.quietFor(t, f.frozen, "calls while memcached stands still", before)
	f.memcached.Signal(syscall.SIGCONT)
	// Reads that began while it stood still must end before their sidecar dies:
	// without both nobody can have a token.
	f.quietFor(t, 2*readTimeout, "calls because memcached stood still", before)
	f.callsByFreeze += f.wechat.Calls("", "") - before

	// A quarter of the sidecars is killed, a quarter frozen over the renewal.
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
	// The sidecars whose jitter puts them last see the new token within a
	// twentieth of its life. A memcached that is lost before that may cost one more
	// call: theirs, who hold the old token, find it due and nothing newer.
	f.quietFor(t, f.life/20+2*time.Second, "one call for a renewal, whoever was gone or comes back", before+1)
	f.renewals, f.calls = f.renewals+1, f.calls+f.wechat.Calls("", "")-before
}

// quietFor watches that WeChat is not called beyond so many times.
func (f *fleet) quietFor(t *testing.T, d time.Duration, claim string, calls int) {
	t.Helper()
	assert.Never(t, func() bool { return f.wechat.Calls("", "") != calls }, d, often, claim)
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
		{"dead tokens read", f.dead.Load()},
		{"reads that failed", f.failed.Load()},
		{"renewals", f.renewals},
		{"calls for them", f.calls},
		{"calls because memcached restarted", f.callsByRestart},
		{"calls because memcached stood still", f.callsByFreeze},
		{"entry back after memcached's death", longest(f.backAfter)},
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
