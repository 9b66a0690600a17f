package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// state is what a sidecar holds at a moment.
type state struct {
	usage
	goroutines int
	process    *process
	lived      time.Duration // since its start
}

// take looks at each sidecar: the median of looks over 10 s, since a look at
// memcached, or an app's question, holds a connection for a moment.
func (w *world) take(ctx context.Context) (map[*pod]state, error) {
	const looks = 21
	states := map[*pod]state{}
	seen := map[*pod][]state{}
	for range looks {
		for _, p := range w.pods {
			u, err := p.now().usage()
			if err != nil {
				return nil, err
			}
			g, err := w.steps.goroutines(p.now().pid())
			if err != nil {
				return nil, err
			}
			seen[p] = append(seen[p], state{usage: u, goroutines: g})
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
	}
	for _, p := range w.pods {
		pick := func(of func(state) int) int {
			all := make([]int, looks)
			for i, s := range seen[p] {
				all[i] = of(s)
			}
			return median(all)
		}
		p.mu.Lock()
		s := state{process: p.process, lived: w.journal.now() - p.since}
		p.mu.Unlock()
		s.descriptors = pick(func(s state) int { return s.descriptors })
		s.threads = pick(func(s state) int { return s.threads })
		s.anonymous = pick(func(s state) int { return s.anonymous })
		s.goroutines = pick(func(s state) int { return s.goroutines })
		states[p] = s
	}
	return states, nil
}

// What a sidecar may hold more at the end: the eight idle connections to memcached
// that it keeps after a rush, and a reader's or two; what the collector has not
// given back yet, and a tenth.
const (
	moreDescriptors = 10
	moreGoroutines  = 8
	moreAnonymous   = 3 << 20
)

// grown is whether a sidecar holds more than before.
func grown(before, after state) bool {
	return after.descriptors > before.descriptors+moreDescriptors ||
		after.goroutines > before.goroutines+moreGoroutines ||
		after.anonymous > before.anonymous*11/10+moreAnonymous
}

// flatness is the table of what the sidecars held before and after, for those that
// lived through all, and whether one has grown.
func (w *world) flatness() (text string, growing int) {
	if w.end == nil || w.baseline == nil {
		return "", 0
	}
	text = "| sidecar | between, s | descriptors | goroutines | threads | private memory, MB |\n|---|---|---|---|---|---|\n"
	lived := 0
	for _, p := range w.pods {
		before, after := w.baseline[p], w.end[p]
		if before.process != after.process {
			continue
		}
		lived++
		if grown(before, after) {
			growing++
		}
		text += fmt.Sprintf("| %d | %.0f | %d → %d | %d → %d | %d → %d | %.1f → %.1f |\n", p.number, (after.lived - before.lived).Seconds(),
			before.descriptors, after.descriptors, before.goroutines, after.goroutines, before.threads, after.threads,
			float64(before.anonymous)/1e6, float64(after.anonymous)/1e6)
	}
	if lived == 0 {
		return "no sidecar lived through all\n", 1
	}
	return text, growing
}

// machine is what the figures were taken on.
func machine() string { return fmt.Sprintf("%d processors, %s", runtime.NumCPU(), runtime.Version()) }
