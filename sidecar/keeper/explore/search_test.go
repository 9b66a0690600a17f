package explore

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// settle is how long nothing must have changed at the end of a run: two polls of each.
const settle = 31 * time.Second

// maxTurns is far more than a run takes.
const maxTurns = 20_000

// result is what a run was like.
type result struct {
	steps   []step   // those after the last pick
	drawn   schedule // the picks of draw
	pruned  bool     // it reached a state that is explored elsewhere
	broken  []string
	excused bool
	hash    uint64        // of the state in which it ended
	choices int           // made
	took    time.Duration // virtual
}

// step is a step at which a run could have continued otherwise.
type step struct {
	number int
	costs  []bound // of each choice
	left   bound
}

// run runs a schedule. draw, if not nil, chooses at each step after the last pick. seen is asked at each step after the last pick whether the state
// was explored with as much left; nil: never.
func (w *world) run(s schedule, left bound, seen func(state uint64, left bound) bool, draw func(step) int) (r result) {
	start := time.Now()
	number, next := 0, 0
	var quiet time.Time
	for turns := 0; ; turns++ {
		synctest.Wait()
		if turns > maxTurns {
			w.judge.breaks("Ends", "not after %d turns", maxTurns)
			break
		}
		w.judge.check()
		if len(w.judge.broken) > 0 {
			break
		}
		waiting := w.waiting()
		choices := w.choices(waiting)
		if len(choices) == 0 {
			if w.settled(&quiet) || time.Since(w.begin) > horizon+time.Hour {
				w.judge.last()
				break
			}
			w.idle()
			continue
		}
		if len(choices) == 1 {
			choices[0].do()
			continue
		}
		number++
		chosen := 0
		if next < len(s) {
			if s[next].step == number {
				if chosen = s[next].choice; chosen >= len(choices) {
					panic(fmt.Sprintf("schedule %s: step %d has %d choices only", s, number, len(choices)))
				}
				left, _ = left.minus(choices[chosen].cost)
				next++
			}
		} else {
			if seen != nil && seen(w.hash(waiting), left) {
				r.pruned = true
				break
			}
			at := step{number: number, left: left}
			for _, c := range choices {
				at.costs = append(at.costs, c.cost)
			}
			r.steps = append(r.steps, at)
			if draw != nil {
				chosen = draw(at)
				left, _ = left.minus(choices[chosen].cost)
				if chosen > 0 {
					r.drawn = append(r.drawn, pick{number, chosen})
				}
			}
		}
		if !quiet.IsZero() && chosen > 0 {
			quiet = time.Time{}
		}
		choices[chosen].do()
		r.choices++
	}
	r.broken, r.excused, r.took = w.judge.broken, w.judge.excusedAny, time.Since(start)
	r.hash = w.hash(nil)
	return r
}

// idle lets time go on until something waits.
func (w *world) idle() {
	w.resetLogs()
	now := time.Now()
	for i, s := range w.sidecars {
		if token, yes := w.judge.reports(i, now); yes {
			w.report(s, token)
			return
		}
	}
	wait := 5 * time.Second
	for _, s := range w.sidecars {
		if !s.stopped.IsZero() && s.phase > 0 {
			if left := s.stopped.Add(phases[s.phase-1]).Sub(now); left > 0 {
				wait = min(wait, left)
			}
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.arrived:
	case <-timer.C:
	}
}

// settled reports whether the run is over.
func (w *world) settled(quiet *time.Time) bool {
	now := time.Now()
	if !w.judge.settled() || w.unfinished.Load() > 0 || now.Before(w.healed) {
		*quiet = time.Time{}
		return false
	}
	if quiet.IsZero() {
		*quiet = now
	}
	return now.Sub(*quiet) >= settle
}

// search is an exploration of all schedules of one start within one bound.
type search struct {
	start start
	bound bound

	mu        sync.Mutex
	stack     []schedule
	working   int
	idle      *sync.Cond
	seen      map[uint64]bound
	schedules int
	pruned    int
	excused   int
	longest   string // the longest excused one
	replayed  int
	failures  []failure
	deadline  time.Time // zero: none

	folder   string // where it is saved; empty: nowhere
	begin    time.Time
	before   time.Duration // what earlier processes took
	saved    time.Time
	underWay map[string]bool // schedules
}

// maxFailures is how many failures end an exploration.
const maxFailures = 10

// failure is a schedule that breaks a promise.
type failure struct {
	schedule schedule
	broken   []string
}

func newSearch(s start, b bound) *search {
	e := &search{start: s, bound: b, stack: []schedule{nil}, seen: map[uint64]bound{}, begin: time.Now(), underWay: map[string]bool{}}
	e.idle = sync.NewCond(&e.mu)
	return e
}

// covers reports whether what was explored with a includes b.
func covers(a, b bound) bool { return a.preemptions >= b.preemptions && a.faults >= b.faults }

// known notes a state, and reports whether it needs no further exploration.
func (e *search) known(state uint64, left bound) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before, ok := e.seen[state]
	if ok && covers(before, left) {
		return true
	}
	if !ok || covers(left, before) {
		e.seen[state] = left
	}
	return false
}

// next returns a schedule to run, false if none is left.
func (e *search) next() (schedule, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.stack) == 0 && e.working > 0 {
		e.idle.Wait()
	}
	if len(e.stack) == 0 || len(e.failures) >= maxFailures || (!e.deadline.IsZero() && time.Now().After(e.deadline)) {
		e.idle.Broadcast()
		return nil, false
	}
	last := len(e.stack) - 1
	s := e.stack[last]
	e.stack = e.stack[:last]
	e.working++
	e.underWay[s.String()] = true
	return s, true
}

// note counts a run. The caller holds mu.
func (e *search) note(s schedule, r result) {
	if r.pruned {
		e.pruned++
	}
	if r.excused {
		e.excused++
		if text := s.String(); len(text) > len(e.longest) {
			e.longest = text
		}
	}
	if len(r.broken) > 0 {
		e.failures = append(e.failures, failure{s, r.broken})
	}
}

// ran notes a run, and which schedules follow from it.
func (e *search) ran(s schedule, r result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.schedules++
	e.working--
	delete(e.underWay, s.String())
	e.note(s, r)
	for _, at := range r.steps {
		for c, cost := range at.costs {
			if _, ok := at.left.minus(cost); c > 0 && ok {
				e.stack = append(e.stack, slices.Concat(s, schedule{{at.number, c}}))
			}
		}
	}
	if time.Since(e.saved) > checkpointEvery {
		e.saved = time.Now()
		must(e.save())
	}
	e.idle.Broadcast()
}

// explore runs schedules until none is left, or the time is over.
func (e *search) explore(t *testing.T, workers int) {
	t.Helper()
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				s, ok := e.next()
				if !ok {
					return
				}
				r := e.one(t, s, e.known, nil)
				if e.schedules%100 == 0 && !r.pruned && len(r.broken) == 0 {
					e.replay(t, s, r)
				}
				e.ran(s, r)
			}
		})
	}
	all.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	must(e.save())
}

// one runs one schedule in a world of its own.
func (e *search) one(t *testing.T, s schedule, seen func(uint64, bound) bool, draw func(step) int) (r result) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		w := newWorld(e.start)
		defer w.end()
		r = w.run(s, e.bound, seen, draw)
	})
	return r
}

// replay runs a schedule again and compares.
func (e *search) replay(t *testing.T, s schedule, first result) {
	t.Helper()
	again := e.one(t, s, nil, nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.replayed++
	if again.hash != first.hash || again.choices != first.choices {
		t.Errorf("start %q, schedule %s: two runs differ: %d and %d choices", e.start.name, s, first.choices, again.choices)
	}
}
