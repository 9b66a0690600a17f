package explore

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	flagBounds = flag.String("explore.bounds", "1,0 0,1", "the bounds, each as preemptions,faults")
	flagStart  = flag.String("explore.start", "", "the start; empty: all")
	flagReplay = flag.String("explore.replay", "", "do not explore: run this schedule of the start, - for the usual one, and print it")
	flagFor    = flag.Duration("explore.for", 0, "end the exploration of one start after this time; 0: when all is explored")
)

// Every schedule within the bounds keeps what the keeper promises.
func TestExplore(t *testing.T) {
	for _, s := range starts {
		if *flagStart != "" && s.name != *flagStart {
			continue
		}
		if *flagReplay != "" {
			replay(t, s)
			continue
		}
		for _, text := range strings.Fields(*flagBounds) {
			var b bound
			_, err := fmt.Sscanf(text, "%d,%d", &b.preemptions, &b.faults)
			require.NoError(t, err, text)
			explore(t, s, b)
		}
	}
}

func explore(t *testing.T, s start, b bound) {
	begin := time.Now()
	e := newSearch(s, b)
	if *flagFor > 0 {
		e.deadline = begin.Add(*flagFor)
	}
	e.explore(t, runtime.GOMAXPROCS(0))
	t.Logf("%-32s %s: %d schedules (%d met a known state, %d left), %d states, %d excused by rule 9, %d replayed, %s", s.name, b,
		e.schedules, e.pruned, len(e.stack), len(e.seen), e.excused, e.replayed, time.Since(begin).Round(time.Millisecond))
	if e.longest != "" {
		t.Logf("the longest excused one: -explore.start='%s' -explore.replay=%s", s.name, e.longest)
	}
	for _, f := range e.failures {
		t.Errorf("%s\n\tgo test ./sidecar/keeper/explore -run TestExplore -v -explore.start='%s' -explore.replay=%s",
			strings.Join(f.broken, "; "), s.name, f.schedule)
	}
}

// replay runs one schedule and prints it.
func replay(t *testing.T, s start) {
	picks, err := parseSchedule(strings.TrimPrefix(*flagReplay, "-"))
	require.NoError(t, err)
	var out bytes.Buffer
	synctest.Test(t, func(*testing.T) {
		w := newWorldTold(s, &story{out: &out})
		defer w.end()
		r := w.run(picks, bound{100, 100}, nil)
		fmt.Fprintf(&out, "%d choices, %s, broken: %v\n", r.choices, r.took, r.broken)
	})
	t.Log("\n" + out.String())
}

func timeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
