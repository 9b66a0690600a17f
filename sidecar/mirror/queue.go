package mirror

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// credentialKey identifies one credential.
type credentialKey struct {
	appID string
	kind  memcache.Kind
}

// job is a credential to write.
type job struct {
	keeper.Change
	previous string // the credential before this one; "" if unknown
	due      time.Time
	written  bool // at least once: from then on it is checked
}

// target is where a queue writes.
type target interface {
	// delay returns how long after a change this credential is written, or false if
	// it is never written.
	delay(c keeper.Change, spread float64) (time.Duration, bool)
	// checkEvery returns how often a written credential is checked and repaired; 0
	// means never.
	checkEvery(c keeper.Change) time.Duration
	// write writes the credential, or does nothing if it was written and is still
	// there. Its error contains no secret. A *failure has a hint.
	write(ctx context.Context, j job) error
}

// queue holds the newest credential of each key. It writes them to one target,
// retries after a failure, and checks them.
type queue struct {
	target
	log     *slog.Logger
	wake    chan struct{} // has an element if a job may be due earlier than expected
	started time.Time

	mu      sync.Mutex // guards what follows; never held over I/O
	waiting map[credentialKey]*job
	resume  time.Time // the whole target failed: no write before this time
	outage
}

func newQueue(name string, log *slog.Logger, to target) *queue {
	return &queue{
		target: to, log: log.With("mirror", name), wake: make(chan struct{}, 1), started: time.Now(),
		waiting: map[credentialKey]*job{}, outage: outage{name: name, failing: map[credentialKey]problem{}},
	}
}

// add queues a credential. It replaces the one that waits under the same key.
func (q *queue) add(key credentialKey, j job) {
	delay, ok := q.delay(j.Change, jitter())
	if !ok {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	j.due = time.Now().Add(delay)
	if old := q.waiting[key]; old != nil && !old.written && old.previous != "" {
		// The old job was never written, so the target can still have its previous.
		j.previous = old.previous
	}
	q.waiting[key] = &j
	q.wakeUp()
}

// nextCheck returns the common time of all checks with this interval. With a time
// of its own, each of thousands of credentials would wake the queue.
func (q *queue) nextCheck(every time.Duration) time.Time {
	return q.started.Add(time.Since(q.started).Truncate(every) + every)
}

// wakeUp makes run look for due jobs. The caller holds mu.
func (q *queue) wakeUp() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// setAccounts drops the jobs and failures of all other accounts.
func (q *queue) setAccounts(appIDs map[string]bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for key := range q.waiting {
		if !appIDs[key.appID] {
			delete(q.waiting, key)
		}
	}
	for key := range q.failing {
		if key != wholeTarget && !appIDs[key.appID] {
			delete(q.failing, key)
		}
	}
	if len(appIDs) == 0 {
		delete(q.failing, wholeTarget) // no account is left to try
	}
	if len(q.failing) == 0 {
		q.logged = nil // the outage ended with its accounts: log nothing
	}
}

// run writes due jobs until ctx ends.
func (q *queue) run(ctx context.Context) {
	for {
		due, wait := q.due(time.Now())
		for _, key := range due {
			if ctx.Err() != nil || !q.writeOne(ctx, key) {
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

// due returns the keys of the due jobs. If there are none, wait is how long to
// sleep.
func (q *queue) due(now time.Time) (due []credentialKey, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	wait = time.Hour
	for key, j := range q.waiting {
		until := j.due
		if q.resume.After(until) {
			until = q.resume
		}
		if left := until.Sub(now); left > 0 {
			wait = min(wait, left)
		} else {
			due = append(due, key)
		}
	}
	return due, wait
}

// writeOne writes the job under key. It returns false if no other job can be
// written now.
func (q *queue) writeOne(ctx context.Context, key credentialKey) bool {
	q.mu.Lock()
	j := q.waiting[key]
	if j == nil || time.Now().Before(j.due) {
		q.mu.Unlock()
		return true // removed or replaced meanwhile
	}
	if !time.Now().Before(j.Expires) {
		delete(q.waiting, key) // expired: its readers request a token anyway
		q.mu.Unlock()
		return true
	}
	tried := *j
	q.mu.Unlock()

	err := q.write(ctx, tried)
	if ctx.Err() != nil {
		return false // not the target's failure
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		return q.retry(key, err)
	}
	if q.waiting[key] == j { // neither replaced nor removed
		if every := q.checkEvery(tried.Change); every > 0 {
			j.due, j.written = q.nextCheck(every), true
		} else {
			delete(q.waiting, key)
		}
	}
	q.resume = time.Time{}
	q.succeeded(key, q.log)
	return true
}

// retry sets when a failed job is due again. It returns false if the whole target
// failed. The caller holds mu.
func (q *queue) retry(key credentialKey, err error) bool {
	failed, waits := key, q.waiting[key]
	if isWhole(err) {
		failed = wholeTarget
	} else if waits == nil {
		return true // its account was removed
	}
	again := time.Now().Add(retryAfter(q.failed(failed, key, err, q.log), jitter()))
	if failed == wholeTarget {
		q.resume = again
		return false
	}
	if waits.due.Before(again) {
		waits.due = again
	}
	return true
}
