//go:build bill

package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

const (
	// tolerance is by how much a charge may exceed its limit: machines differ.
	tolerance = 4.0 / 3
	// starts is how many starts the best one is taken of.
	starts = 15
	// usualStart is how long bare net/http takes at most to answer, in ms, on an idle
	// machine. If it takes longer, so can the sidecar.
	usualStart = 5.0
	maxStart   = 15 // ms
	// maxIdle bounds the processor time of an idle sidecar with one account in that of a
	// loop with the same polls: a sidecar took 1.2 to 2.8 times as much. For each further
	// account it took 6 to 15 times as much, since it reads each record's JSON and compares
	// it with its memory. That has no bound: the loop's 5 to 10 µs are too few to measure.
	maxIdle = 3
	ofLoop  = ", the same polls in a loop"
	// oneAccounts is how many sidecars have one account: the processor time of a poll
	// varies, so one sidecar with two polls is not enough.
	oneAccounts = 4
	// manyAccounts is how many the last sidecar has.
	manyAccounts = 2_000
	// busyRequests come before the memory is read again.
	busyRequests = 10_000
)

// charge is one line of what a sidecar costs its pod.
type charge struct {
	what        string
	unit        string // a format for each number
	ours, floor float64
	limit       float64 // of ours; 0: none
	times       float64 // instead of limit: how many times the floor ours can be
	noFloor     bool
	ofFloor     string // what follows the floor's number
}

func (c charge) cells() []string {
	cells := []string{c.what, fmt.Sprintf(c.unit, c.ours), "", ""}
	if !c.noFloor {
		cells[2] = fmt.Sprintf(c.unit, c.floor) + c.ofFloor
	}
	switch {
	case c.times > 0:
		cells[3] = fmt.Sprintf("%.0f × the floor", c.times)
	case c.limit > 0:
		cells[3] = strings.Replace(fmt.Sprintf(c.unit, c.limit), ".0 ", " ", 1)
	}
	return cells
}

// check fails if the charge exceeds its limit by a third.
func (c charge) check(t *testing.T) {
	t.Helper()
	limit := tolerance * c.limit
	switch {
	case c.times > 0:
		limit = tolerance * c.times * c.floor
		t.Logf("%s: %.2f times the floor; fails above %.2f", c.what, c.ours/c.floor, tolerance*c.times)
	case c.limit == maxStart:
		limit *= max(1, c.floor/usualStart)
	}
	if limit > 0 {
		assert.LessOrEqual(t, c.ours, limit, "%s exceeds its limit by a third", c.what)
	}
}

// TestBill measures what a sidecar costs its pod, beside bare net/http and a loop
// that only polls, and fails if a limit is exceeded by a third. It prints the table of
// the documentation, with -others that of other sidecars too. Memory and processor
// time are the kernel's counts. Of the times the best counts, because a busy machine
// only makes them longer.
func TestBill(t *testing.T) {
	f, err := newFixture(t.Context(), false, true, os.Stderr)
	require.NoError(t, err)
	t.Cleanup(f.close)
	all := startOthers(t, f)
	var sidecars, loops []*poller
	var idle []idleSidecar
	for _, n := range append(slices.Repeat([]int{1}, oneAccounts), manyAccounts) {
		idle = append(idle, f.startIdle(t, n))
	}
	started := time.Now()
	floor, fetch := f.startFloors(t)
	start := bestStarts(t, f, all)
	for _, s := range idle {
		sidecars = append(sidecars, &poller{Process: s.Process, memcached: s.memcached, accounts: len(s.appIDs)})
		loops = append(loops, f.startLoop(t, s))
	}
	require.NoError(t, program.Sleep(t.Context(), time.Until(started.Add(memoryReturned))))

	one, many := idle[0], idle[oneAccounts]
	private := memories(t, one.Process, many.Process, floor.Process, fetch)
	measureIdle(t, slices.Concat(sidecars, loops))
	for _, m := range all {
		m.idle = memories(t, m.running.Process)[0]
		m.busy = memoriesAfter(t, m.request(), m.running)[0]
	}
	busy := memoriesAfter(t, tokenRequest, one.server, floor)
	us := &measured{other: other{name: "wxsidecar"}, size: sizeOf(t, f.program("sidecar")), idle: private[0], busy: busy[0], start: start[0]}
	bare := &measured{other: other{name: "net/http alone"}, size: sizeOf(t, f.program("floor")), idle: private[2], busy: busy[1], start: start[1]}
	further := (private[1] - private[0]) / (manyAccounts - 1) * 1e3

	lines := [][]string{{"what", "wxsidecar", "floor", "limit"}}
	for _, c := range slices.Concat(sizeCharges(t, f, us, bare), memoryCharges(us, bare, private[3], further), idleCharges(sidecars, loops)) {
		lines = append(lines, c.cells())
		c.check(t)
	}
	_, _ = io.WriteString(os.Stdout, program.Markdown(0, lines))
	if len(all) > 0 {
		printOthers(t, slices.Concat([]*measured{us, bare}, all))
	}
}

func sizeCharges(t *testing.T, f *fixture, us, bare *measured) []charge {
	t.Helper()
	path, err := f.write("certificates.pem", string(systemRoots()))
	require.NoError(t, err)
	roots := sizeOf(t, path)
	require.NotZero(t, roots.plain, "no certificates on this system: install ca-certificates")
	return []charge{
		{what: "image: the binary and the CA certificates", unit: "%.1f MB", limit: 10, ours: us.size.plain + roots.plain, floor: bare.size.plain + roots.plain},
		{what: "the same, compressed", unit: "%.1f MB", limit: 4, ours: us.size.packed + roots.packed, floor: bare.size.packed + roots.packed},
		{what: fmt.Sprintf("exec to the first answer, the best of %d", starts), unit: "%.1f ms", limit: maxStart, ours: us.start, floor: bare.start},
	}
}

func memoryCharges(us, bare *measured, afterTLS, further float64) []charge {
	return []charge{
		{
			what: "idle private memory after the first TLS request", unit: "%.1f MB", limit: 4, ours: us.idle, floor: bare.idle,
			ofFloor: fmt.Sprintf("; %.1f MB after a TLS request of its own", afterTLS),
		},
		{
			what: fmt.Sprintf("the same after %s requests over %d connections", program.Number(busyRequests), apiCallers),
			unit: "%.1f MB", ours: us.busy, floor: bare.busy,
		},
		{what: "each further account: private memory", unit: "%.1f kB", limit: 8, ours: further, noFloor: true},
	}
}

func idleCharges(sidecars, loops []*poller) []charge {
	ours, oursFurther := costs(sidecars)
	floor, floorFurther := costs(loops)
	what := fmt.Sprintf("CPU in %d idle seconds", int(idleSpan.Seconds()))
	return []charge{
		{what: what, unit: "%.2f ms", times: maxIdle, ours: ours / 1e6, floor: floor / 1e6, ofFloor: ofLoop},
		{what: "each further account: " + what, unit: "%.1f µs", ours: oursFurther / 1e3, floor: floorFurther / 1e3, ofFloor: ofLoop},
	}
}

// startFloors starts bare net/http, and the same after a TLS request of its own.
func (f *fixture) startFloors(t *testing.T) (*server, *program.Process) {
	t.Helper()
	floor, err := f.startFloor(t.Context(), tcp)
	require.NoError(t, err)
	t.Cleanup(floor.Kill)
	address, err := programtest.FreeAddress()
	require.NoError(t, err)
	fetch, err := program.Start(t.Context(), []string{"FETCH_URL=" + f.tokenURL(), "SSL_CERT_FILE=" + f.roots}, f.program("fetch"), "-listen", address)
	require.NoError(t, err)
	t.Cleanup(fetch.Kill)
	return floor, fetch
}

// bestStarts returns the best time from exec to an answer, in ms: the sidecar's, the
// floor's, and each other's, which it notes too.
func bestStarts(t *testing.T, f *fixture, others []*measured) samples {
	t.Helper()
	batches := []batch{f.firstLivez, f.firstOfFloor}
	for _, m := range others {
		batches = append(batches, m.firstAnswer)
	}
	all, err := interleave(t.Context(), starts, batches...)
	require.NoError(t, err)
	best := make(samples, len(all))
	for i, s := range all {
		best[i] = slices.Min(s) / 1e6
	}
	for i, m := range others {
		m.start = best[i+2]
	}
	return best
}

// size is that of a file in MB, as it is and compressed.
type size struct{ plain, packed float64 }

func sizeOf(t *testing.T, path string) size {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	var packed counter
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	require.NoError(t, err)
	n, err := io.Copy(zip, f)
	require.NoError(t, err)
	require.NoError(t, zip.Close()) // writes the rest
	return size{float64(n) / 1e6, float64(packed) / 1e6}
}

// counter counts what is written.
type counter int

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
