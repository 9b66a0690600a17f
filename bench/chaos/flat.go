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
	at         time.Duration
}

const (
	// takes of takeEach each: longer than a sidecar goes without giving back what it
	// does not need. To WeChat and from apps it keeps connections for 30 s after their
	// last use, to memcached until a look within 15 s; memory it gives back 11 s after
	// its last call to WeChat, once in 66 s while there is no end of calls.
	takes    = 140
	takeEach = 500 * time.Millisecond
)

// take is the least that each sidecar holds within 70 s: its accounts are renewed
// all the time, and readers ask, which takes connections and memory for a while.
// What it leaks it would hold at every moment.
func (w *world) take(ctx context.Context) (map[*pod]state, error) {
	states := map[*pod]state{}
	for range takes {
		for _, p := range w.pods {
			running := p.now()
			u, err := running.usage()
			if err != nil {
				return nil, err
			}
			g, err := w.steps.goroutines(running.pid())
			if err != nil {
				return nil, err
			}
			s, seen := states[p]
			if !seen {
				s = state{usage: u, goroutines: g, process: running, at: w.journal.now()}
			}
			s.descriptors = min(s.descriptors, u.descriptors)
			s.threads = min(s.threads, u.threads)
			s.anonymous = min(s.anonymous, u.anonymous)
			s.goroutines = min(s.goroutines, g)
			states[p] = s
		}
		if err := pause(ctx, takeEach); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// What a sidecar may hold more at the end: a connection to memcached, to WeChat or
// from an app that came within half a minute; what the collector has not given
// back yet, and a tenth.
const (
	moreDescriptors = 3
	moreGoroutines  = 4
	moreAnonymous   = 3 << 20
)

// flat is what a sidecar held before and after.
type flat struct {
	sidecar       int
	before, after state
}

var flatHead = []words{
	{"sidecar", "sidecar"},
	{"between, s", "相隔（秒）"},
	{"descriptors", "描述符"},
	{"goroutines", "goroutine"},
	{"threads", "线程"},
	{"private memory, MB", "私有内存（MB）"},
}

func (f flat) cells() []string {
	arrow := func(before, after int) string { return fmt.Sprintf("%d → %d", before, after) }
	return []string{
		fmt.Sprint(f.sidecar), fmt.Sprintf("%.0f", (f.after.at - f.before.at).Seconds()),
		arrow(f.before.descriptors, f.after.descriptors), arrow(f.before.goroutines, f.after.goroutines), arrow(f.before.threads, f.after.threads),
		fmt.Sprintf("%.1f → %.1f", float64(f.before.anonymous)/1e6, float64(f.after.anonymous)/1e6),
	}
}

// grown is whether the sidecar holds more than before.
func (f flat) grown() bool {
	return f.after.descriptors > f.before.descriptors+moreDescriptors ||
		f.after.goroutines > f.before.goroutines+moreGoroutines ||
		f.after.anonymous > f.before.anonymous*11/10+moreAnonymous
}

// flatness is what the sidecars held before and after, and how many have grown. One
// that did not live through it all counts as such.
func (w *world) flatness() (all []flat, growing int) {
	if w.end == nil || w.baseline == nil {
		return nil, 0
	}
	for _, p := range w.pods {
		f := flat{p.number, w.baseline[p], w.end[p]}
		if f.grown() || f.before.process != f.after.process {
			growing++
		}
		all = append(all, f)
	}
	return all, growing
}

// grown is what the page says of how many have grown: a run that does not look at
// what they hold knows of none.
func grown(looked []flat, growing int) any {
	if len(looked) == 0 {
		return words{"nobody looked: only a whole run does", "没有检查：只有完整的运行才检查"}
	}
	return growing
}

// machine is what the figures were taken on.
func machine() words {
	return words{"%d processors, %s", "%d 个处理器，%s"}.filled(runtime.NumCPU(), runtime.Version())
}
