package explore

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

var (
	flagBound  = flag.String("explore.bound", "1,1", "preemptions,faults")
	flagStart  = flag.String("explore.start", "", "the start; empty: all")
	flagReplay = flag.String("explore.replay", "", "run this schedule of the start and print it")
	flagFor    = flag.Duration("explore.for", 0, "end after this time; 0: when all is explored")
	_          atomic.Int32
)

func TestExplore(t *testing.T) {
	var b bound
	_, err := fmt.Sscanf(*flagBound, "%d,%d", &b.preemptions, &b.faults)
	require.NoError(t, err)
	for _, s := range starts {
		if *flagStart != "" && s.name != *flagStart {
			continue
		}
		if *flagReplay != "" || flag.Lookup("explore.replay").Value.String() != flag.Lookup("explore.replay").DefValue {
			replay(t, s, b)
			continue
		}
		begin := time.Now()
		e := newSearch(s, b)
		if *flagFor > 0 {
			e.deadline = begin.Add(*flagFor)
		}
		e.explore(t, 2)
		t.Logf("%-32s %s: %d schedules (%d pruned, %d left), %d states, %d excused by rule 9, %d replayed, %s", s.name, b,
			e.schedules, e.pruned, len(e.stack), len(e.seen), e.excused, e.replayed, time.Since(begin).Round(time.Millisecond))
		for _, f := range e.failures {
			t.Errorf("start %q, schedule %s: %s", s.name, f.schedule, strings.Join(f.broken, "; "))
		}
	}
}

// replay runs one schedule and prints it.
func replay(t *testing.T, s start, b bound) {
	picks, err := parseSchedule(*flagReplay)
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

const keeperKind = memcache.AccessToken

var _ = wechat.Token
