package explore

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	flagBounds = flag.String("explore.bounds", "1,0 0,1", "explore these bounds, each as preemptions,faults, to their end")
	flagStarts = flag.String("explore.starts", "", "the starts, separated by ;, empty: all of two sidecars")
	flagFor    = flag.Duration("explore.for", 0, "end the exploration of one start and bound after this time; 0: when all is explored")
	flagSave   = flag.String("explore.save", "", "the folder from which an exploration goes on that was ended; empty: none")
	flagSample = flag.String("explore.sample", "", "then run random schedules of each start within this bound, for explore.for")
	flagSeed   = flag.Uint64("explore.seed", 1, "the seed of these")
	flagReplay = flag.String("explore.replay", "", "do not explore: run this schedule of the start, - for the usual one, and print it")
)

// Every schedule within the bounds keeps what the keeper promises.
func TestExplore(t *testing.T) {
	for _, s := range chosen(t) {
		if *flagReplay != "" {
			replay(t, s)
			continue
		}
		for _, text := range strings.Fields(*flagBounds) {
			e := newSearch(s, parseBound(t, text))
			e.folder = *flagSave
			require.NoError(t, e.load())
			e.explore(t, e.until())
			e.report(t, "")
		}
		if *flagSample != "" {
			e := newSearch(s, parseBound(t, *flagSample))
			clear(e.waiting)
			e.sample(t, *flagSeed, e.until())
			e.report(t, fmt.Sprintf(" sampled with seed %d", *flagSeed))
		}
	}
}

// chosen returns the starts that were asked for.
func chosen(t *testing.T) (all []start) {
	t.Helper()
	if *flagStarts == "" {
		return slices.DeleteFunc(slices.Clone(starts), func(s start) bool { return s.sidecars > 2 })
	}
	for _, name := range strings.Split(*flagStarts, ";") {
		i := slices.IndexFunc(starts, func(s start) bool { return s.name == name })
		require.GreaterOrEqual(t, i, 0, "no such start: %q", name)
		all = append(all, starts[i])
	}
	return all
}

func parseBound(t *testing.T, text string) (b bound) {
	t.Helper()
	_, err := fmt.Sscanf(text, "%d,%d", &b.preemptions, &b.faults)
	require.NoError(t, err, text)
	require.True(t, min(b.preemptions, b.faults) >= 0 && max(b.preemptions, b.faults) <= maxBound, "bound %s: 0 to %d of each", text, maxBound)
	return b
}

// until sets the end of the exploration, and returns the number of its workers.
func (e *search) until() (workers int) {
	if *flagFor > 0 {
		e.deadline = time.Now().Add(*flagFor)
	}
	return runtime.GOMAXPROCS(0)
}

// report prints how much was explored, and what was found.
func (e *search) report(t *testing.T, how string) {
	t.Helper()
	left := e.leftWithin(e.bound)
	t.Logf("%s %s%s: %d schedules, %d of them reached a known state, %d left, %d states, %d excused by rule 9, %d replayed, %s", e.start.name, e.bound,
		how, e.schedules, e.pruned, left, len(e.seen), e.excused, e.replayed, e.took().Round(time.Millisecond))
	for _, cost := range e.costs {
		switch within := e.leftWithin(cost); {
		case left == 0:
		case within == 0:
			t.Logf("%s %s is complete: %d schedules of exactly that cost", e.start.name, cost, e.ran[cost])
		default:
			t.Logf("%s %s is not complete: %d schedules of exactly that cost, %d known that are left", e.start.name, cost, e.ran[cost], len(e.waiting[cost]))
		}
	}
	if e.longest != "" {
		t.Logf("the longest excused one: -explore.starts='%s' -explore.replay=%s", e.start.name, e.longest)
	}
	for i, f := range e.failures {
		t.Errorf("%s\n\tgo test ./sidecar/keeper/explore -run TestExplore -v -explore.starts='%s' -explore.replay=%s",
			strings.Join(f.Broken, "; "), e.start.name, cmp.Or(f.Schedule, "-"))
		if i == 0 {
			picks, err := parseSchedule(f.Schedule)
			require.NoError(t, err)
			t.Log("\n" + storyOf(t, e.start, picks))
		}
	}
}

// replay runs one schedule and prints it.
func replay(t *testing.T, s start) {
	t.Helper()
	picks, err := parseSchedule(strings.TrimPrefix(*flagReplay, "-"))
	require.NoError(t, err)
	t.Log("\n" + storyOf(t, s, picks))
}

// storyOf runs one schedule, and returns its story.
func storyOf(t *testing.T, s start, picks schedule) string {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(*testing.T) {
		w := newWorldWith(s, &story{out: &out})
		defer w.end()
		r := w.run(picks, bound{100, 100}, nil, nil)
		fmt.Fprintf(&out, "%d choices, %s, broken: %v\n", r.choices, r.took, r.broken)
	})
	return out.String()
}

func timeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
