//go:build bill

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// overdraft is by how much a charge may exceed its limit before the test fails:
	// machines differ, and what made the sidecar dearer is more than that.
	overdraft = 4.0 / 3
	// starts is how many starts the best one is taken of.
	starts = 15
	// usualStart is what net/http alone takes at most to answer, in milliseconds, on
	// a machine that is not busy with something else. Where it takes longer, so may
	// the sidecar.
	usualStart = 5.0
	maxStart   = 15 // ms
	// maxIdle and maxIdleMore are how many times the processor time of a loop with the
	// same polls a sidecar can take: with one account, and for each further one. Both
	// programs of a run have the same machine, so an idle one, with its slow processor and
	// its cold caches, is no excuse. The sidecar took 1.2 to 1.4 times as much with one
	// account: a wake-up costs more than what follows. It took 6 to 9 times as much for
	// each further account, since it reads each record's JSON and compares it with its
	// memory; the loop does neither. The bounds leave half as much again for other
	// machines, and twice for the few polls of one account.
	maxIdle, maxIdleMore = 3, 10
	byTheLoop            = ", the same polls in a loop"
	// oneAccounts is how many sidecars keep one account: the processor time of a poll
	// varies, so one sidecar with two polls says little.
	oneAccounts = 4
	// manyAccounts is how many a sidecar keeps beside those of one account.
	manyAccounts = 2_000
	// restRequests are asked before the memory is looked at again.
	restRequests = 10_000
)

// charge is one line of what a sidecar costs its pod.
type charge struct {
	what        string
	ours, floor float64
	limit       float64 // of ours; 0: none
	times       float64 // instead of limit: how many times the floor ours can be
	unit        string  // a format for each of the three
	noFloor     bool
	beside      string // what the floor's cell says beside
}

func (c charge) cells() []string {
	cells := []string{c.what, fmt.Sprintf(c.unit, c.ours), "", ""}
	if !c.noFloor {
		cells[2] = fmt.Sprintf(c.unit, c.floor) + c.beside
	}
	switch {
	case c.times > 0:
		cells[3] = fmt.Sprintf("%.0f × the floor", c.times)
	case c.limit > 0:
		cells[3] = strings.Replace(fmt.Sprintf(c.unit, c.limit), ".0 ", " ", 1)
	}
	return cells
}

// TestBill says what a sidecar costs its pod, beside net/http that does nothing and a
// loop that only polls, measured in the same run, and fails where a limit is exceeded
// by a third. It
// prints the rows of the documentation, ready to paste; with -others those of other
// sidecars too.
// Memory and processor time are the kernel's counts; of the times the best counts,
// since a busy machine only ever makes them longer.
func TestBill(t *testing.T) {
	ctx := t.Context()
	r, err := newRig(ctx, false, true)
	require.NoError(t, err)
	defer r.close()
	neighbours := settle(t, r)
	h, err := newHouse(ctx, r, append(slices.Repeat([]int{1}, oneAccounts), manyAccounts)...)
	defer h.close()
	require.NoError(t, err)
	one, many := h.lodgers[0], h.lodgers[oneAccounts]

	start := bestStart(t, r, neighbours)
	require.NoError(t, h.startLoops(ctx, r))
	require.NoError(t, pause(ctx, time.Until(h.started.Add(settled))))
	rest := memories(t, one.process, many.process, h.floor.process, h.fetch)
	sidecars, loops := h.idle(t)
	idleOne, loopOne := spentByOne(sidecars), spentByOne(loops)
	idleMany, loopMany := sidecars[oneAccounts].spent, loops[oneAccounts].spent
	ours, floor := weigh(t, r.programs.sidecar), weigh(t, r.programs.floor)
	for _, n := range neighbours {
		n.atRest(t)
	}
	busy := afterRequests(t, tokenRequest, one.server, h.floor)
	roots, err := r.write("certificates.pem", string(systemRoots()))
	require.NoError(t, err)
	certificates := weigh(t, roots)
	require.NotZero(t, certificates.plain, "no certificates on this system: install ca-certificates")

	const more = manyAccounts - 1
	const mb, ms = "%.1f MB", "%.1f ms"
	bill := []charge{
		{what: "image: the binary and the CA certificates", unit: mb, limit: 10, ours: ours.plain + certificates.plain, floor: floor.plain + certificates.plain},
		{what: "the same, compressed", unit: mb, limit: 4, ours: ours.packed + certificates.packed, floor: floor.packed + certificates.packed},
		{what: fmt.Sprintf("exec to the first answer, the best of %d", starts), unit: ms, limit: maxStart, ours: start[0], floor: start[1]},
		{
			what: "private memory at rest after the first TLS call", unit: mb, limit: 4, ours: rest[0], floor: rest[2],
			beside: fmt.Sprintf("; "+mb+" after a TLS call of its own", rest[3]),
		},
		{what: fmt.Sprintf("the same after %s requests over %d connections", thousands(restRequests), apiCallers), unit: mb, ours: busy[0], floor: busy[1]},
		{
			what: fmt.Sprintf("CPU in %d idle seconds", int(idleSpan.Seconds())), unit: "%.2f ms", times: maxIdle,
			ours: idleOne / 1e6, floor: loopOne / 1e6, beside: byTheLoop,
		},
		{what: "each further account: private memory", unit: "%.1f kB", limit: 5, ours: (rest[1] - rest[0]) / more * 1e3, noFloor: true},
		{
			what: fmt.Sprintf("each further account: CPU in %d idle seconds", int(idleSpan.Seconds())), unit: "%.1f µs", times: maxIdleMore,
			ours: (idleMany - idleOne) / more / 1e3, floor: (loopMany - loopOne) / more / 1e3, beside: byTheLoop,
		},
	}
	lines := make([][]string, len(bill))
	for i, c := range bill {
		lines[i] = c.cells()
		limit := overdraft * c.limit
		if c.limit == maxStart {
			limit *= max(1, start[1]/usualStart)
		}
		if c.times > 0 {
			limit = overdraft * c.times * c.floor
			t.Logf("%s: %.2f times the floor; fails above %.2f", c.what, c.ours/c.floor, overdraft*c.times)
		}
		if limit > 0 {
			assert.LessOrEqual(t, c.ours, limit, "%s exceeds its limit by a third", c.what)
		}
	}
	require.NoError(t, writeMarkdown(os.Stdout, []string{"what", "wxsidecar", "floor", "limit"}, lines))
	if len(neighbours) > 0 {
		us := neighbour{other: other{name: "wxsidecar"}, weight: ours, rest: rest[0], busy: busy[0], start: start[0]}
		bare := neighbour{other: other{name: "net/http alone"}, weight: floor, rest: rest[2], busy: busy[1], start: start[1]}
		introduce(t, slices.Concat([]*neighbour{&us, &bare}, neighbours))
	}
}

// memories are what each occupies that is its own, in MB.
func memories(t *testing.T, all ...*process) samples {
	t.Helper()
	found := make(samples, len(all))
	for i, p := range all {
		m, err := p.memory()
		require.NoError(t, err)
		found[i] = m.anonymous / 1e6
	}
	return found
}

// afterRequests is the same after each server has answered some thousand requests.
func afterRequests(t *testing.T, request string, all ...*server) samples {
	t.Helper()
	found := make(samples, 0, len(all))
	for _, s := range all {
		c, err := newCrowd(t.Context(), s, request, apiCallers)
		require.NoError(t, err)
		_, err = c.batch(restRequests)
		c.close()
		require.NoError(t, err)
		found = append(found, memories(t, s.process)...)
	}
	return found
}

// bestStart is the best time from exec to an answer, in ms: the sidecar's, the
// floor's, and each neighbour's, which it notes too.
func bestStart(t *testing.T, r *rig, neighbours []*neighbour) samples {
	t.Helper()
	contenders := []contender{r.livez, r.floorAnswers}
	for _, n := range neighbours {
		contenders = append(contenders, n.answers)
	}
	all, err := interleave(t.Context(), starts, contenders...)
	require.NoError(t, err)
	best := make(samples, len(all))
	for i, s := range all {
		best[i] = slices.Min(s) / 1e6
	}
	for i, n := range neighbours {
		n.start = best[i+2]
	}
	return best
}
