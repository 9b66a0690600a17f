package keeper

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// renewals is how many jobs run at a time while no caller waits for them.
	renewals = 32
	// paceEvery is the time between the starts of two such jobs: 50 a second, after the
	// first 50. A token is due 300 s before its entry expires, so 15,000 tokens can be
	// due at the same time.
	paceEvery = 20 * time.Millisecond
	paceFirst = time.Second / paceEvery
)

// job is one renewal in a queue. Its run is called exactly once.
type job struct {
	// run does the work. If stopping is true, the queue was closed before the job
	// began: run must only end the wait of its callers.
	run func(stopping bool)
	// needsTurn reports whether the job still makes a request, and so must keep the
	// pace. Nil means that it does. The queue calls it without holding a lock.
	needsTurn func() bool

	awaited atomic.Bool // a caller waits for it
	queued  bool        // it has not begun; guarded by the queue's mu
}

// queue runs jobs in their order, 32 at a time and 50 a second, so that a start with
// many accounts spreads its load on WeChat and memcached. A job that a caller waits for
// runs at once. The limits are those of one sidecar: all sidecars together send one
// request per account, because each renewal takes the lease.
//
// One goroutine starts all jobs, and it exists only while jobs are queued. A timer
// for each job is no alternative: many timers that fire at the same time crash
// go1.26's race detector within a synctest bubble.
type queue struct {
	work   *sync.WaitGroup // all goroutines of the queue
	slots  chan struct{}   // one element for each running job that no caller waited for
	closed chan struct{}

	mu       sync.Mutex // guards the fields below; not held while a job runs
	waiting  []*job     // first in, first out; can contain jobs that have begun
	starting bool       // the goroutine that starts the jobs exists
	stopping bool
	next     time.Time // the earliest start of the next job that keeps the pace
}

// newQueue returns an empty queue. Its goroutines count in work: call close before
// work.Wait.
func newQueue(work *sync.WaitGroup) *queue {
	return &queue{work: work, slots: make(chan struct{}, renewals), closed: make(chan struct{})}
}

// close stops the queue. Jobs that run can finish; those that have not begun run
// with stopping. It does not wait.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.stopping {
		q.stopping = true
		close(q.closed)
	}
}

// add appends a job, or runs it at once if a caller waits for it. It reports false if
// the queue is closed: the job then never runs. The caller can hold locks that
// run and needsTurn take.
func (q *queue) add(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.stopping:
		return false
	case j.awaited.Load():
		q.work.Go(func() { j.run(false) })
		return true
	}
	j.queued = true
	q.waiting = append(q.waiting, j)
	if !q.starting {
		q.starting = true
		q.work.Go(q.start)
	}
	return true
}

// runNow runs a job at once if it has not begun: a caller waits for it. It can be called
// before add, and more than once.
func (q *queue) runNow(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.awaited.Store(true)
	if j.queued && !q.stopping { // if it is closed, start runs the job with stopping
		j.queued = false
		q.work.Go(func() { j.run(false) })
	}
}

// isIdle reports whether no job is queued, and none runs that no caller waited for.
func (q *queue) isIdle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.starting && len(q.slots) == 0
}

// start runs the jobs in their order until none is queued.
func (q *queue) start() {
	for j := q.first(); j != nil; j = q.first() {
		select {
		case q.slots <- struct{}{}:
		case <-q.closed:
			if q.take(j, false) {
				j.run(true)
			}
			continue
		}
		paced := j.needsTurn == nil || j.needsTurn()
		open := q.waitTurn(paced)
		if !q.take(j, paced) { // a caller began to wait for it meanwhile
			<-q.slots
			continue
		}
		q.work.Go(func() {
			defer func() { <-q.slots }()
			j.run(!open)
		})
	}
}

// first returns the first job that has not begun. It returns nil if there is none,
// and the calling start must then end.
func (q *queue) first() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) > 0 {
		if j := q.waiting[0]; j.queued {
			return j
		}
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
	}
	q.waiting, q.starting = nil, false
	return nil
}

// take marks a job as begun, and uses up a turn if it keeps the pace. It reports
// false if the job has begun already.
func (q *queue) take(j *job, paced bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !j.queued {
		return false
	}
	j.queued = false
	if paced {
		// Unused turns of the last second remain: 50 jobs begin at once after a pause.
		q.next = later(q.next, time.Now().Add(-(paceFirst-1)*paceEvery)).Add(paceEvery)
	}
	return true
}

// waitTurn waits until the next job can begin that keeps the pace. It reports false
// if the queue is closed.
func (q *queue) waitTurn(paced bool) bool {
	q.mu.Lock()
	wait := time.Until(q.next)
	q.mu.Unlock()
	if paced && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-q.closed:
		}
	}
	select {
	case <-q.closed:
		return false
	default:
		return true
	}
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
