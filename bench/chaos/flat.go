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
	live       int // bytes of the heap in use at the last collection
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
			goroutines, live, err := w.steps.held(running.pid())
			if err != nil {
				return nil, err
			}
			s, seen := states[p]
			if !seen {
				s = state{usage: u, goroutines: goroutines, live: live, process: running, at: w.journal.now()}
			}
			s.descriptors = min(s.descriptors, u.descriptors)
			s.threads = min(s.threads, u.threads)
			s.anonymous = min(s.anonymous, u.anonymous)
			s.goroutines = min(s.goroutines, goroutines)
			s.live = min(s.live, live)
			states[p] = s
		}
		if err := pause(ctx, takeEach); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// What a sidecar may hold more at the end: a connection to memcached, to WeChat or
// from an app that came within half a minute, and what of the heap these hold. Its
// private memory shows little of a leak: it gives back what it does not need after its
// own calls to WeChat alone, and others may have called. It must not exceed what the
// manifests request.
const (
	moreDescriptors = 3
	moreGoroutines  = 4
	moreLive        = 1 << 20
	mostAnonymous   = 16 << 20
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
	{"heap in use, MB", "在用的堆（MB）"},
	{"private memory, MB", "私有内存（MB）"},
}

func (f flat) cells() []string {
	arrow := func(before, after int) string { return fmt.Sprintf("%d → %d", before, after) }
	megabytes := func(before, after int) string {
		return fmt.Sprintf("%.1f → %.1f", float64(before)/1e6, float64(after)/1e6)
	}
	return []string{
		fmt.Sprint(f.sidecar), fmt.Sprintf("%.0f", (f.after.at - f.before.at).Seconds()),
		arrow(f.before.descriptors, f.after.descriptors), arrow(f.before.goroutines, f.after.goroutines), arrow(f.before.threads, f.after.threads),
		megabytes(f.before.live, f.after.live), megabytes(f.before.anonymous, f.after.anonymous),
	}
}

// grown is whether the sidecar holds more than before.
func (f flat) grown() bool {
	return f.after.descriptors > f.before.descriptors+moreDescriptors ||
		f.after.goroutines > f.before.goroutines+moreGoroutines ||
		f.after.live > f.before.live+moreLive || f.after.anonymous > mostAnonymous
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
