package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// flight is one renewal that many may wait for.
type flight struct {
	of       *credential
	rejected string // the token that must be replaced; empty: whatever is due
	job      job
	done     chan struct{}
	err      error // valid once done is closed
}

// wait waits for the renewal to end, and lets it go past the queue.
func (f *flight) wait(ctx context.Context) error {
	f.of.house.queue.hurry(&f.job)
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return &Error{Reason: Unavailable, Code: busyCode, Message: "no credential came in time", RetryAfter: time.Second}
	}
}

// isGone reports whether its account was removed, and nobody waits for it.
func (f *flight) isGone() bool {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	return f.of.closed && !f.job.awaited.Load()
}

// arm sets the timer for the time when the token is due, or when a renewal that
// failed is tried again. The caller holds mu.
func (c *credential) arm() {
	if c.closed {
		return
	}
	var wait time.Duration
	if c.mem.live(c.Wall) && !c.mandated(c.mem.record.Token) {
		wait = max(c.mem.dueIn(c.Wall, c.spread), 0)
	}
	wait = max(wait, time.Until(c.refusal.until))
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.wake)
		return
	}
	c.timer.Reset(wait)
}

// wake runs when the token is due.
func (c *credential) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startIfDue()
}

// startIfDue starts a renewal that is due, or owed to a report, unless there is
// one, or no use in one. The caller holds mu.
func (c *credential) startIfDue() {
	if c.flight != nil || c.recentRefusal() != nil {
		return
	}
	switch {
	case !c.mem.live(c.Wall):
		c.start("")
	case c.mandated(c.mem.record.Token): // the renewal that a report caused has failed
		c.start(c.mem.record.Token)
	case c.mem.dueIn(c.Wall, c.spread) <= 0:
		c.start("")
	}
}

// mandated reports whether this sidecar is the one that renews a reported token.
// The caller holds mu.
func (c *credential) mandated(token string) bool {
	return c.mandate != "" && c.mandate == memcache.Fingerprint(token) && c.mem.isRejected()
}

// start has a renewal queue; nil when the sidecar is stopping. The caller holds mu
// and has seen that there is none.
func (c *credential) start(rejected string) *flight {
	if c.closed {
		return nil
	}
	f := &flight{of: c, rejected: rejected, done: make(chan struct{})}
	f.job.run, f.job.needsTurn = f.fly, f.needsTurn
	if !c.house.queue.add(&f.job) {
		return nil
	}
	c.flight = f
	return f
}

// needsTurn reports whether the renewal still makes a request: nobody else's token
// was adopted meanwhile, and the account was not removed.
func (f *flight) needsTurn() bool { return !f.of.good(f.rejected) && !f.isGone() }

// fly runs one renewal and closes done. It does not begin if the sidecar is stopping,
// or if its account was removed and nobody waits for it.
func (f *flight) fly(stopping bool) {
	c := f.of
	var err error = errStopping
	if !stopping && !f.isGone() {
		err = c.renew(c.house.ctx, f.rejected)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.err = err
	c.flight = nil
	switch {
	case errors.Is(err, errElsewhere):
		f.err = nil
	case err != nil:
		c.refuse(err)
	default:
		c.refusal = refusal{}
		c.arm()
	}
	close(f.done)
}

// refuse remembers why a renewal failed. The caller holds mu.
func (c *credential) refuse(err error) {
	c.refusal = refusal{err: asError(err), since: time.Now(), until: time.Now().Add(time.Second)}
	var failed *failure
	if errors.As(err, &failed) { // else it is somebody else's wait: memcached ends it, and a look sees
		c.refusal.until, c.refusal.secret = failed.until, failed.secret
		c.arm()
	}
}

// refusal is why a renewal failed, and until when there is no use in another.
type refusal struct {
	err    *Error
	since  time.Time
	until  time.Time
	secret string // fingerprint of the AppSecret that a person must see to
}

// recentRefusal is why a renewal that just failed would fail again. The caller
// holds mu.
func (c *credential) recentRefusal() error {
	if c.refusal.err == nil || time.Until(c.refusal.until) <= 0 {
		return nil
	}
	err := *c.refusal.err
	err.RetryAfter = max(err.RetryAfter, time.Until(c.refusal.until)).Round(time.Second)
	return &err
}

var errStopping = &Error{Reason: Unavailable, Code: busyCode, Message: "the sidecar is stopping", RetryAfter: time.Second}
