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
	// manyAccounts is how many a sidecar keeps beside the one of one account.
	manyAccounts = 2_000
	idleSpan     = 30 * time.Second
)

// charge is one line of what a sidecar costs its pod.
type charge struct {
	what        string
	ours, floor float64
	limit       float64 // 0: none
	unit        string  // a format for each of the three
}

func (c charge) row() row {
	r := row{what: c.what, ours: fmt.Sprintf(c.unit, c.ours)}
	if c.floor > 0 {
		r.floor = fmt.Sprintf(c.unit, c.floor)
	}
	if c.floor > 0 {
		r.ratio = fmt.Sprintf("%.1f", c.ours/c.floor)
	}
	if c.limit > 0 {
		r.goal, r.met = "≤ "+fmt.Sprintf(c.unit, c.limit), verdictOf(c.ours <= c.limit)
	}
	return r
}

// TestBill says what a sidecar costs its pod, beside net/http that does nothing,
// measured in the same run, and fails where a limit is exceeded by a third.
// Memory and processor time are the kernel's counts; of the times the best counts,
// since a busy machine only ever makes them longer.
func TestBill(t *testing.T) {
	ctx := t.Context()
	r, err := newRig(ctx, false, true)
	require.NoError(t, err)
	defer r.close()
	h, err := newHouse(ctx, r, 1, manyAccounts)
	defer h.close()
	require.NoError(t, err)
	one, many := h.lodgers[0], h.lodgers[1]

	bill := append(weighImage(t, r), bestStart(t, r))
	require.NoError(t, pause(ctx, time.Until(h.started.Add(settled))))
	memories := make([]float64, 0, 4)
	for _, p := range []*process{one.process, many.process, h.floor.process, h.fetch} {
		m, err := p.memory()
		require.NoError(t, err)
		memories = append(memories, m.anonymous)
	}
	spent := idle(t, one.process, many.process, h.floor.process)
	const more = manyAccounts - 1
	bill = append(bill,
		charge{"private memory at rest after the first TLS call", memories[0] / 1e6, memories[2] / 1e6, 4, "%.2f MB"},
		charge{"the same, against net/http after a TLS call", memories[0] / 1e6, memories[3] / 1e6, 0, "%.2f MB"},
		charge{"CPU in 30 idle seconds", spent[0] / 1e6, spent[2] / 1e6, 5, "%.1f ms"},
		charge{"each further account: private memory", (memories[1] - memories[0]) / more / 1e3, 0, 5, "%.2f kB"},
		charge{"each further account: CPU in 30 idle seconds", (spent[1] - spent[0]) / more / 1e3, 0, 100, "%.0f µs"},
	)

	rows := make([]row, len(bill))
	for i, c := range bill {
		rows[i] = c.row()
		if c.limit > 0 {
			assert.LessOrEqual(t, c.ours, overdraft*c.limit, "%s exceeds its limit by a third", c.what)
		}
	}
	var table strings.Builder
	require.NoError(t, writeTable(&table, rows))
	_, _ = os.Stdout.WriteString(table.String())
}

// weighImage weighs what the Dockerfile puts into the image: the binary, and the
// certificates.
func weighImage(t *testing.T, r *rig) []charge {
	t.Helper()
	roots := systemRoots()
	require.NotEmpty(t, roots, "no certificates on this system: install ca-certificates")
	certificates, err := r.write("certificates.pem", string(roots))
	require.NoError(t, err)
	weights := make([][2]float64, 0, 3)
	for _, path := range []string{r.programs.sidecar, r.programs.floor, certificates} {
		plain, packed, err := weigh(path)
		require.NoError(t, err)
		weights = append(weights, [2]float64{plain / 1e6, packed / 1e6})
	}
	ours, floor, both := weights[0], weights[1], weights[2]
	return []charge{
		{"image: the binary and the CA certificates", ours[0] + both[0], floor[0] + both[0], 10, "%.2f MB"},
		{"the same, compressed", ours[1] + both[1], floor[1] + both[1], 4, "%.2f MB"},
	}
}

// bestStart is the best time from exec to an answer.
func bestStart(t *testing.T, r *rig) charge {
	t.Helper()
	all, err := interleave(t.Context(), starts, r.livez, r.floorAnswers)
	require.NoError(t, err)
	ours, floor := slices.Min(all[0])/1e6, slices.Min(all[1])/1e6
	return charge{fmt.Sprintf("exec to the first answer, the best of %d", starts), ours, floor, maxStart * max(1, floor/usualStart), "%.1f ms"}
}

// idle is the processor time in nanoseconds that each spends while nobody asks.
func idle(t *testing.T, all ...*process) samples {
	t.Helper()
	read := func() samples {
		spent := make(samples, len(all))
		for i, p := range all {
			var err error
			spent[i], err = p.cpu()
			require.NoError(t, err)
		}
		return spent
	}
	before := read()
	require.NoError(t, pause(t.Context(), idleSpan))
	return read().minus(before)
}
