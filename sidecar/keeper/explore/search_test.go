package explore

import (
	"fmt"
	"math/rand/v2"
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
			if int(s[next].step) == number {
				if chosen = int(s[next].choice); chosen >= len(choices) {
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
					r.drawn = append(r.drawn, pick{uint16(number), uint16(chosen)})
				}
			}
		}
		if !quiet.IsZero() && chosen > 0 {
			quiet = time.Time{}
		}
		choices[chosen].do()
		r.choices++
	}
	if next < len(s) && len(w.judge.broken) == 0 && seen == nil {
		w.judge.breaks("Schedule", "it ends before step %d", s[next].step)
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

// search is an exploration of all schedules of one start within one bound. Those that cost least run first: so nearly each state is first
// reached with as much left as possible, and if the exploration ends early, some smaller bounds are complete.
type search struct {
	start start
	bound bound

	mu        sync.Mutex
	idle      *sync.Cond
	costs     []bound              // in the order in which they are explored
	waiting   map[bound][]schedule // by cost
	ran       map[bound]int        // by cost: how many schedules
	working   int
	seen      map[uint64]marks
	dice      *rand.Rand
	schedules int
	pruned    int
	excused   int
	longest   string // the longest excused one
	replayed  int
	failures  []failure
	deadline  time.Time // zero: none

	folder    string        // where it is saved; empty: nowhere
	saveEvery time.Duration // some hundred megabytes, if the exploration is a large one
	begin     time.Time
	before    time.Duration // what earlier processes took
	saved     time.Time
}

// maxFailures is how many failures end an exploration.
const maxFailures = 10

// failure is a schedule that breaks a promise.
type failure struct {
	Schedule string
	Broken   []string
}

func newSearch(s start, b bound) *search {
	e := &search{
		start: s, bound: b, costs: b.within(), waiting: map[bound][]schedule{{}: {nil}}, ran: map[bound]int{}, seen: map[uint64]marks{},
		dice: rand.New(rand.NewPCG(1, 1)), begin: time.Now(), saved: time.Now(), saveEvery: 5 * time.Minute,
	}
	e.idle = sync.NewCond(&e.mu)
	return e
}

// marks are the bounds within which the schedules after a state were explored: a bit for each.
type marks uint64

// maxBound is the largest number of preemptions, and of faults, for which marks has bits.
const maxBound = 7

// covers reports whether a bound, and so each smaller one, was explored.
func (m marks) covers(b bound) bool { return m&b.mark() != 0 }

func (b bound) mark() marks { return 1 << (b.preemptions*(maxBound+1) + b.faults) }

// and returns the marks with those of a bound, and of all within it.
func (m marks) and(b bound) marks {
	for _, smaller := range b.within() {
		m |= smaller.mark()
	}
	return m
}

// known notes a state, and reports whether it needs no further exploration.
func (e *search) known(state uint64, left bound) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.seen[state]
	if before.covers(left) {
		return true
	}
	e.seen[state] = before.and(left)
	return false
}

// next returns a schedule to run, any of those that cost least, and false if none is left. While another schedule runs it waits for what that
// brings.
func (e *search) next() (schedule, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		if e.working == 0 && time.Since(e.saved) > e.saveEvery {
			must(e.save())
		}
		cost, left := e.cheapest()
		switch {
		case len(e.failures) >= maxFailures, !e.deadline.IsZero() && time.Now().After(e.deadline), !left && e.working == 0:
			e.idle.Broadcast()
			return nil, false
		case !left, e.working > 0 && time.Since(e.saved) > e.saveEvery:
			e.idle.Wait()
			continue
		}
		all := e.waiting[cost]
		i, last := e.dice.IntN(len(all)), len(all)-1
		s := all[i]
		all[i], e.waiting[cost] = all[last], all[:last]
		e.ran[cost]++
		e.working++
		return s, true
	}
}

// cheapest returns the lowest cost of the schedules that wait, false if none does.
func (e *search) cheapest() (bound, bool) {
	for _, cost := range e.costs {
		if len(e.waiting[cost]) > 0 {
			return cost, true
		}
	}
	return bound{}, false
}

// leftWithin returns how many schedules within a bound wait.
func (e *search) leftWithin(b bound) (left int) {
	for cost, waiting := range e.waiting {
		if _, ok := b.minus(cost); ok {
			left += len(waiting)
		}
	}
	return left
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
		e.failures = append(e.failures, failure{s.String(), r.broken})
	}
}

// done notes a run, and which schedules follow from it. It reports whether the run should be
// replayed: one in a hundred that ended.
func (e *search) done(s schedule, r result) (replay bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.schedules++
	e.working--
	e.note(s, r)
	if replay = e.schedules/100 > e.replayed && !r.pruned && len(r.broken) == 0; replay {
		e.replayed++
	}
	for _, at := range r.steps {
		for c, cost := range at.costs {
			if left, ok := at.left.minus(cost); c > 0 && ok {
				total, _ := e.bound.minus(left)
				e.waiting[total] = append(e.waiting[total], slices.Concat(s, schedule{{uint16(at.number), uint16(c)}}))
			}
		}
	}
	e.idle.Broadcast()
	return replay
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
				if e.done(s, r) {
					e.replay(t, s, r)
				}
			}
		})
	}
	all.Wait()
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
	if again.hash != first.hash || again.choices != first.choices {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.failures = append(e.failures, failure{s.String(), []string{fmt.Sprintf("two runs differ: %d and %d choices", first.choices, again.choices)}})
	}
}
