package keeper

import (
	"context"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
)

const (
	// freshFor is how long after an entry was written no sidecar writes it again to keep
	// it from expiring: less than the 300 s that it has left when it is due.
	freshFor = time.Minute
	// unclearEvery is how often memcached is polled while it is unclear whose token the
	// entry has.
	unclearEvery = time.Second
)

// poll reads entry and record, and repairs them.
func (c *credential) poll() {
	view, err := c.slot.Poll()
	if err != nil {
		c.memcachedFailed()
		return
	}
	c.reconcile(view)
}

// reconcile compares what memcached has with what this sidecar holds, repairs it, and
// renews what is due. No step sends a request by itself.
func (c *credential) reconcile(view memcache.View) {
	c.memcachedAnswered()
	c.mu.Lock()
	running := c.run != nil
	c.mu.Unlock()
	if !running { // a renewal writes its own doubt
		c.mark()
	}
	external := c.repair(view, false)
	ended, asks := c.secretChanged() || c.dayEnded(), c.asksNow()
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ended {
		c.backoff.clear()
	}
	if external && c.run == nil && c.backoff.recent(now.Mono) == nil && c.reportDelay(now) == 0 {
		c.held.Reported = memcache.Fingerprint(c.held.Record.Token) // as an app would report it
		c.start(protocol.Why{Invalid: c.held.Record.Token, External: true})
		return
	}
	c.startIfDue(now)
	if asks && c.run == nil {
		c.start(protocol.Why{Ask: true})
	}
}

// unpublished reports whether a valid credential is held that the entry did not have at the
// last poll. That read may be older than what a renewal has written since.
func (c *credential) unpublished() bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held.Valid(now) && !c.polls.published
}

// memcachedFailed notes that a poll failed, and renews what is due without memcached.
func (c *credential) memcachedFailed() {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.polls.downSince.IsZero() {
		c.polls.downSince = now.Mono
	}
	c.polls.published = false
	c.startIfDue(now)
	if c.Upstream != nil && c.run == nil && !c.asked(askEvery, now) && c.backoff.recent(now.Mono) == nil {
		c.start(protocol.Why{Ask: true})
	}
}

// memcachedAnswered notes that a poll succeeded.
func (c *credential) memcachedAnswered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.polls.downSince.IsZero() {
		c.link.back = now
		if c.backoff.down {
			c.backoff.clear()
		}
	}
	c.polls.downSince, c.polls.answered = time.Time{}, now
}

// pollOnRead polls because a reader missed the entry: at most once a second, or ten times
// while memcached is down, so that the entry returns as soon as memcached does. If this
// process was paused, it polls before the reader gets an answer: the held credential may
// have been replaced long ago.
func (c *credential) pollOnRead(ctx context.Context) {
	now := time.Now()
	c.mu.Lock()
	if c.held.Record != nil && c.polls.paused(now) {
		c.mu.Unlock()
		c.catchUp(ctx)
		return
	}
	defer c.mu.Unlock()
	every := time.Second
	if !c.polls.downSince.IsZero() {
		every = 100 * time.Millisecond
	}
	if c.polls.polling || c.alarm.stopped || now.Sub(c.polls.onRead) < every {
		return
	}
	c.polls.polling = c.group.work(func(context.Context) { c.pollOnce() })
}

// pollOnce polls for pollOnRead, and then allows the next such poll.
func (c *credential) pollOnce() {
	c.mu.Lock()
	c.polls.polling = false
	c.mu.Unlock()
	c.poll()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.polls.onRead = time.Now()
}

// catchUp polls after a pause of this process, once for all callers meanwhile.
func (c *credential) catchUp(ctx context.Context) {
	c.mu.Lock()
	caught, first := c.polls.catching, c.polls.catching == nil
	if first {
		caught = make(chan struct{})
		c.polls.catching = caught
	}
	c.mu.Unlock()
	if !first {
		select {
		case <-caught:
		case <-ctx.Done():
		}
		return
	}
	c.poll()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.polls.downSince.IsZero() {
		c.polls.answered = c.polls.downSince // once: memcached is down
	}
	c.polls.catching = nil
	close(caught)
}

// wake runs when the credential is due, when a renewal that failed is tried again, and
// while it is unclear whose token the entry has.
func (c *credential) wake() {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.polls.unclear.IsZero() {
		c.startIfDue(now)
		return
	}
	if !c.polls.polling {
		c.polls.polling = c.group.work(func(context.Context) { c.pollOnce() })
	}
}
