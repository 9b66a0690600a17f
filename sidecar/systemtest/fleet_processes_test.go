package systemtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// realTrial is a fleet of processes, and how long it is watched.
type realTrial struct {
	trial
	watched time.Duration
	life    time.Duration // of a token
}

// smallReal is enough to notice a simulation that differs from the program.
var smallReal = []realTrial{{trial{sidecars: 3, accounts: 20}, 16 * time.Second, tokenLife}}

// fullReal is what docs/benchmarks.md says of a pod.
var fullReal = []realTrial{
	{trial{sidecars: 4, accounts: 100}, 2 * time.Minute, tokenLife},
	{trial{sidecars: 4, accounts: 100}, 2 * time.Minute, time.Minute}, // renewed each half minute
	{trial{sidecars: 1, accounts: 1000}, time.Minute, tokenLife},
	{trial{sidecars: 1, accounts: 10_000}, 2 * time.Minute, tokenLife},
}

const (
	// settle is longer than a sidecar takes from its start, or its last renewal, to the
	// next poll.
	settle = 16 * time.Second
	// baseMemory and accountMemory bound the private memory of a sidecar, in bytes.
	baseMemory, accountMemory = 12 << 20, 6 << 10
)

// measured is what a fleet cost memcached: until everything was published, and then
// while it was watched.
type measured struct {
	start, calm cost
	requests    int // to WeChat while it was watched
}

// The simulation and real sidecars with a real memcached cost the same for one key of
// a poll, one renewal and one start. Memory stays bounded, with 10,000 accounts too.
func TestFleet_ProcessesCostTheSame(t *testing.T) {
	t.Parallel()
	trials := smallReal
	if *fleetFull {
		trials = fullReal
	}
	for _, one := range trials {
		t.Run(fmt.Sprintf("%s, tokens last %s", one.trial, one.life), func(t *testing.T) {
			real, use := one.run(t)
			simulated := one.simulate(t)
			t.Logf("simulated: %+v", simulated)
			t.Logf("processes: %+v", real)
			t.Logf("a pod: %s", use)

			polls := float64(real.calm.keys) / float64(2*one.accounts*one.sidecars)
			if real.requests == 0 {
				assert.GreaterOrEqual(t, polls, one.watched.Seconds()/15-1, "polls of a sidecar")
				assert.LessOrEqual(t, polls, one.watched.Seconds()/10+1, "polls of a sidecar")
				assert.Zero(t, real.calm.writes, "writes while nothing is renewed")
				assert.InEpsilon(t, perKey(simulated.calm.in, simulated.calm), perKey(real.calm.in, real.calm), 0.001, "bytes to memcached for a key")
				// Numbers have a digit more or less, since the time of a renewal is random.
				assert.InEpsilon(t, perKey(simulated.calm.out, simulated.calm), perKey(real.calm.out, real.calm), 0.03, "bytes from memcached for a key")
				assert.LessOrEqual(t, real.calm.dials, 2*one.sidecars, "connections opened: one or two per sidecar, if it has just closed those of its start")
				assert.LessOrEqual(t, real.calm.open, 2*one.sidecars+1, "connections open, the test's own among them")
			} else {
				assert.InEpsilon(t, float64(simulated.calm.writes)/float64(simulated.requests), float64(real.calm.writes)/float64(real.requests), 0.1, "writes for a renewal")
			}
			assert.InEpsilon(t, float64(simulated.start.writes), float64(real.start.writes), 0.1, "writes of the start")
			assert.Less(t, use.memory, baseMemory+one.accounts*accountMemory, "private memory")
		})
	}
}

func perKey(bytes int, c cost) float64 { return float64(bytes) / float64(c.keys) }

// simulate runs the same in virtual time.
func (o realTrial) simulate(t *testing.T) measured {
	t.Helper()
	var w measured
	simulateFleet(t, o.sidecars, o.accounts, o.life, func(f *simFleet) {
		f.published()
		w.start = f.cost()
		time.Sleep(settle)
		from := time.Since(f.began)
		w.calm = f.during(o.watched)
		w.requests = len(f.requestsSince(from))
	})
	return w
}

// run starts the processes at the same time, with an empty memcached.
func (o realTrial) run(t *testing.T) (measured, usage) {
	t.Helper()
	wx, m := wechattest.New(), newRealMemcached(t)
	wx.SetExpiresIn(o.life)
	wx.SetGrace(min(5*time.Minute, o.life/4))
	wx.OnRequest(func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: wechatDelay} })
	url, certificate, stop, err := wx.ListenTLS()
	require.NoError(t, err)
	t.Cleanup(stop)
	dir := programtest.ShortDir(t)
	trusted := programtest.WriteFile(t, filepath.Join(dir, "ca.pem"), string(certificate))
	accounts := filepath.Join(dir, "accounts")
	var slots []*memcache.Slot
	for i := range o.accounts {
		id := fleetAppID(i)
		wx.AddAccount(id, testSecret)
		programtest.WriteFile(t, filepath.Join(accounts, id), testSecret)
		slot, err := m.store.Slot(id, memcache.AccessToken)
		require.NoError(t, err)
		slots = append(slots, slot)
	}

	before := m.cost(t)
	var fleet []*process
	for i := range o.sidecars {
		fleet = append(fleet, spawn(t, []string{
			"WECHAT_ACCOUNTS_DIR=" + accounts, "WECHAT_BASE_URL=" + url, "SSL_CERT_FILE=" + trusted, "LOG_LEVEL=warn",
			"MEMCACHED_SERVERS=" + m.Address, "SIDECAR_OPS_LISTEN=off",
			"SIDECAR_LISTEN=unix://" + filepath.Join(dir, fmt.Sprintf("%d.sock", i)),
		}))
	}
	require.Eventually(t, func() bool { return wx.Issues("") >= o.accounts && publishedOf(t, m.store, slots) == len(slots) },
		15*time.Minute, time.Second, "everything is published")
	w := measured{start: m.cost(t).minus(before)}
	spent := usage{start: cpuOf(t, fleet)}
	<-time.After(settle)

	began, calls, atFirst := cpuOf(t, fleet), wx.Requests("", ""), m.cost(t)
	<-time.After(o.watched)
	w.calm, w.requests = m.cost(t).minus(atFirst), wx.Requests("", "")-calls
	spent.halfMinute = time.Duration(float64(cpuOf(t, fleet)-began) * 30 / o.watched.Seconds())
	for _, p := range fleet {
		spent.memory = max(spent.memory, p.anonymous(t))
		spent.peak = max(spent.peak, p.kilobytes(t, "status", "VmHWM")-p.kilobytes(t, "status", "RssFile"))
		programtest.AssertNoCanary(t, p.Stderr.String())
	}
	return w, spent
}

// cost is what the stats say.
func (m *realMemcached) cost(t *testing.T) cost {
	t.Helper()
	conn, err := net.Dial("tcp", m.Address)
	require.NoError(t, err)
	return readCost(t, conn)
}

// publishedOf returns how many of the slots have an entry.
func publishedOf(t *testing.T, store *memcache.Store, slots []*memcache.Slot) int {
	t.Helper()
	views, err := store.Poll(slots)
	require.NoError(t, err)
	n := 0
	for _, view := range views {
		if view.Entry.Token != "" {
			n++
		}
	}
	return n
}

// usage is what one process of a fleet used.
type usage struct {
	start      time.Duration // CPU time until everything was published
	halfMinute time.Duration // CPU time in 30 s while watched
	memory     int           // private, in bytes, of the largest
	peak       int           // about the most ever: peak of all memory minus the current pages of files
}

func (u usage) String() string {
	return fmt.Sprintf("%.0f ms of CPU to start, %.1f ms in 30 s, %.1f MB, at most %.1f", u.start.Seconds()*1e3, u.halfMinute.Seconds()*1e3, float64(u.memory)/1e6, float64(u.peak)/1e6)
}

// cpuOf is the processor time of all threads, in the mean of the processes.
func cpuOf(t *testing.T, fleet []*process) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, p := range fleet {
		threads, err := filepath.Glob(filepath.Join(p.proc(), "task", "*", "schedstat"))
		require.NoError(t, err)
		require.NotEmpty(t, threads, "this needs Linux")
		for _, path := range threads {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // the thread has just ended
			}
			first, _, _ := strings.Cut(string(text), " ")
			ns, err := strconv.ParseInt(first, 10, 64)
			require.NoError(t, err)
			sum += time.Duration(ns)
		}
	}
	return sum / time.Duration(len(fleet))
}

// anonymous is its private memory in bytes.
func (p *process) anonymous(t *testing.T) int {
	t.Helper()
	return p.kilobytes(t, "smaps_rollup", "Anonymous")
}

// kilobytes is a line of one of its files in /proc, in bytes.
func (p *process) kilobytes(t *testing.T, file, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.proc(), file))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n"+name+":")
	require.True(t, found)
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return n * 1024
}

func (p *process) proc() string {
	return filepath.Join("/proc", strconv.Itoa(p.Command.Process.Pid))
}
