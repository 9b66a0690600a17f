package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
)

// run is one renewal that many callers can wait for.
type run struct {
	of   *credential
	why  protocol.Why
	job  job
	done chan struct{}
	err  error // valid once done is closed
}

// startIfDue starts a renewal if the credential is due, missing or reported, unless one
// runs or would fail again. The caller holds mu.
func (c *credential) startIfDue(now protocol.Now) {
	if c.run != nil || c.backoff.recent(now.Mono) != nil {
		return
	}
	switch valid := c.held.Valid(now); {
	case c.held.Rest(now) > 0: // only a reader that waits starts it before
		c.alarm.set(c.held.Rest(now))
	case !valid:
		c.start(protocol.Why{})
	case c.held.IsHandedOver():
		c.startReport(now)
	case c.reports.owns(&c.held): // the renewal that a report caused has failed
		c.start(protocol.Why{Invalid: c.held.Record.Token})
	case c.dueIn(now) <= 0 && c.polls.unclear.IsZero():
		c.start(protocol.Why{})
	}
}

// startReport starts the renewal of a token whose report another sidecar handed over,
// unless newer sidecars still have the time to renew it. The caller holds mu.
func (c *credential) startReport(now protocol.Now) {
	if c.reportDelay(now) > 0 {
		return
	}
	c.start(protocol.Why{Invalid: c.held.Record.Token, Proven: true})
}

// start queues a renewal. It returns nil if the sidecar is stopping. The caller holds
// mu and has seen that no renewal runs.
func (c *credential) start(why protocol.Why) *run {
	if c.alarm.stopped {
		return nil
	}
	r := &run{of: c, why: why, done: make(chan struct{})}
	r.job.run, r.job.needsTurn = r.renew, r.needsTurn
	if !c.group.queue.add(&r.job) {
		return nil
	}
	c.run = r
	return r
}

// wait waits for the renewal to end. A queued renewal begins at once.
func (r *run) wait(ctx context.Context) error {
	r.of.group.queue.runNow(&r.job)
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return &Error{Reason: Unavailable, Code: busyCode, Message: "the renewal did not finish in time", RetryAfter: time.Second}
	}
}

// isGone reports whether its account was removed, and no caller waits for it.
func (r *run) isGone() bool {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	return r.of.alarm.stopped && !r.job.awaited.Load()
}

// needsTurn reports whether the renewal will still send a request: no token of another
// sidecar was adopted meanwhile, and the account was not removed.
func (r *run) needsTurn() bool { return r.of.wants(r.why) && !r.isGone() }

// renew runs the renewal and closes done. It does not begin if the sidecar is stopping,
// or if its account was removed and no caller waits for it.
func (r *run) renew(stopping bool) {
	c := r.of
	var err error = errStopping
	if !stopping && !r.isGone() {
		err = c.renew(c.group.ctx, r.why)
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	r.err = err
	c.run = nil
	switch {
	case errors.Is(err, errRenewalInProgress):
		r.err = nil
	case err != nil:
		c.backOff(err, now)
	default:
		if !now.Mono.Before(c.backoff.own) { // a report of another token does not end that wait
			c.backoff.clear()
		}
		c.arm(now)
	}
	close(r.done)
}

// backOff remembers why a renewal failed. The caller holds mu.
func (c *credential) backOff(err error, now protocol.Now) {
	var failed *failure
	if !errors.As(err, &failed) { // another sidecar's cooldown: memcached ends it, and the next poll tries again
		failed = &failure{err: err, until: now.Mono.Add(time.Second)}
		c.backoff.set(failed, now.Mono)
		return
	}
	if failed == c.backoff.handed { // it is noted already
		c.arm(now)
		return
	}
	if !failed.down.IsZero() && c.link.back.After(failed.down) { // memcached answered meanwhile
		failed.until = now.Mono
	}
	c.backoff.set(failed, now.Mono)
	c.arm(now)
}
