package mirror

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// place names one credential.
type place struct {
	appID string
	kind  memcache.Kind
}

// job is a credential to be written.
type job struct {
	keeper.Change
	before  string // the one that this took the place of; "" where none is known
	due     time.Time
	written bool // once: from then on it is looked at
}

// target is where a queue writes.
type target interface {
	// delay is how long after a change this credential is written; false: never.
	delay(c keeper.Change, spread float64) (time.Duration, bool)
	// again is how often what was written is looked at, to be mended; 0: never.
	again(c keeper.Change) time.Duration
	// write writes it; where it was written and is there still, it does nothing. Its
	// error holds no secret; a *failure says what to do.
	write(ctx context.Context, j job) error
}

// queue is the newest credential of each place, to be written to one target and kept
// there.
type queue struct {
	target
	log  *slog.Logger
	wake chan struct{} // holds one where something may be due sooner than expected
	born time.Time

	mu      sync.Mutex // guards what follows; never held over I/O
	waiting map[place]*job
	resume  time.Time // nothing is tried before: the whole target failed
	outage
}

func newQueue(name string, log *slog.Logger, to target) *queue {
	return &queue{
		target: to, log: log.With("mirror", name), wake: make(chan struct{}, 1), born: time.Now(),
		waiting: map[place]*job{}, outage: outage{name: name, failing: map[place]trouble{}},
	}
}

// add has a credential written; one that waits in its place will not be.
func (q *queue) add(at place, j job) {
	delay, ok := q.delay(j.Change, jitter())
	if !ok {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	j.due = time.Now().Add(delay)
	if old := q.waiting[at]; old != nil && !old.written && old.before != "" {
		// What was never written took the place of what may still be there.
		j.before = old.before
	}
	q.waiting[at] = &j
	q.nudge()
}

// next is when all is looked at next that is looked at so often: all at one time, or
// thousands of credentials would wake the queue as often.
func (q *queue) next(every time.Duration) time.Time {
	return q.born.Add(time.Since(q.born).Truncate(every) + every)
}

// nudge has run look again. The caller holds mu.
func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// keep forgets what belongs to other accounts.
func (q *queue) keep(appIDs map[string]bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for at := range q.waiting {
		if !appIDs[at.appID] {
			delete(q.waiting, at)
		}
	}
	for at := range q.failing {
		if at != everything && !appIDs[at.appID] {
			delete(q.failing, at)
		}
	}
	if len(appIDs) == 0 {
		delete(q.failing, everything) // nobody tries any more
	}
	q.forgotten()
}

// run writes what is due until ctx ends.
func (q *queue) run(ctx context.Context) {
	for {
		due, wait := q.due(time.Now())
		for _, at := range due {
			if ctx.Err() != nil || !q.writeOne(ctx, at) {
				break
			}
		}
		if len(due) > 0 && ctx.Err() == nil {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-q.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// due are the places of what is to be written now; where there are none, wait is
// how long until there may be.
func (q *queue) due(now time.Time) (due []place, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	wait = time.Hour
	for at, j := range q.waiting {
		until := j.due
		if q.resume.After(until) {
			until = q.resume
		}
		if left := until.Sub(now); left > 0 {
			wait = min(wait, left)
		} else {
			due = append(due, at)
		}
	}
	return due, wait
}

// writeOne writes what waits in a place, and says whether others may be tried.
func (q *queue) writeOne(ctx context.Context, at place) bool {
	q.mu.Lock()
	j := q.waiting[at]
	if j == nil || time.Now().Before(j.due) {
		q.mu.Unlock()
		return true // gone, or another one by now
	}
	if !time.Now().Before(j.Expires) {
		delete(q.waiting, at) // dead: whoever reads it fetches anyway
		q.mu.Unlock()
		return true
	}
	tried := *j
	q.mu.Unlock()

	err := q.write(ctx, tried)
	if ctx.Err() != nil {
		return false // not the target's fault
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	current := q.waiting[at] == j // else a newer one came, or its account went
	if err == nil {
		if every := q.again(tried.Change); current && every > 0 {
			j.due, j.written = q.next(every), true
		} else if current {
			delete(q.waiting, at)
		}
		q.resume = time.Time{}
		q.worked(at, q.log)
		return true
	}
	where := at
	if isWhole(err) {
		where = everything
	} else if _, waits := q.waiting[at]; !waits {
		return true // its account went
	}
	failures := q.failed(where, at, err, q.log)
	retry := time.Now().Add(retryAfter(failures, jitter()))
	if where == everything {
		q.resume = retry
		return false
	}
	if waits := q.waiting[at]; waits != nil && waits.due.Before(retry) {
		waits.due = retry
	}
	return true
}
