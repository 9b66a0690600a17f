package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	// pollLife is how long a renewal watches somebody else's: longer than a lease.
	pollLife = 16 * time.Second
	// forcedLife is how long after a rejection the next one may cause a renewal.
	forcedLife = 31 * time.Second
	// forcedPatience is how long the one who marked the rejection may need to
	// take the lease.
	forcedPatience = time.Second
)

// errElsewhere: another sidecar is renewing, and there is a live token meanwhile.
var errElsewhere = errors.New("another sidecar is renewing")

// errForced is the answer to a report that comes too soon after another.
var errForced = &Error{
	Reason: Budget, Code: budgetCode, Message: "the last report was less than 31 s ago",
	Hint: "report a token once; if each new one is refused too, " + strangerHint, RetryAfter: forcedLife,
}

// errPolled is the answer while another sidecar's renewal does not end.
var errPolled = &Error{
	Reason: Unavailable, Code: busyCode, Message: "another sidecar is renewing and did not finish",
	Hint: "look at the logs of the other sidecars; the lease is the AppID's key :lease in memcached", RetryAfter: time.Second,
}

// renew brings a token that is not due and not the rejected one: by adopting
// what another sidecar fetched, or by one call to WeChat. It is the whole
// protocol; the numbers are those of the package comment.
func (c *credential) renew(ctx context.Context, rejected string) error {
	c.mu.Lock()
	forced := rejected == "" || c.mandated(rejected) // ours is the renewal that the rejection may cause
	c.mu.Unlock()
	contended := false
	for start := time.Now(); ; {
		// 2. Has somebody renewed already?
		seen, err := c.readRecord()
		if err != nil && c.worthWaiting() {
			if pause(ctx, reachEvery) != nil {
				return errStopping
			}
			continue
		}
		if err != nil {
			return c.withoutMemcached(ctx, rejected, err)
		}
		c.adopt(seen.Record)
		if c.good(rejected) || (rejected != "" && c.serves(rejected)) {
			c.confirm()
			return nil
		}
		if rejected == "" && seen.Record == nil {
			c.mend(memcache.View{Record: seen}, false)
		}
		held, err := c.slot.Lease()
		if err != nil {
			return c.withoutMemcached(ctx, rejected, err)
		}
		endless := c.endless(held)
		switch {
		case held.Cooldown == nil, endless, c.otherSecret(held.Cooldown):
		case held.Cooldown.Class != settlingClass:
			return c.leave(held.Cooldown, rejected)
		case c.serves(rejected):
			return errElsewhere
		}
		if !forced {
			if forced, err = c.slot.Mark(memcache.MarkReportThrottle, forcedLife); err != nil {
				return c.withoutMemcached(ctx, rejected, err)
			}
			if forced {
				c.report(rejected)
			}
		}
		if held.Held && !endless && !contended {
			contended = true
			c.count(func(n *Counts) { n.Contended++ })
		}
		if (held.Held && !endless) || !forced {
			if !held.Held && time.Since(start) > forcedPatience {
				return errForced
			}
			if c.serves(rejected) {
				return errElsewhere
			}
			if time.Since(start) > pollLife {
				return errPolled
			}
			if err := pause(ctx, pollEvery(c.Rand(), time.Since(start))); err != nil {
				return errStopping
			}
			continue
		}
		if err := c.tokenFirst(ctx); err != nil {
			return err
		}
		c.reached("before_lease")
		var lease *memcache.Lease
		if held.Cooldown != nil || held.Held {
			lease, err = c.slot.TakeOver(held)
		} else {
			lease, err = c.slot.TakeLease()
		}
		if errors.Is(err, memcache.ErrHeld) {
			continue
		}
		if err != nil {
			return c.withoutMemcached(ctx, rejected, err)
		}
		err = c.renewUnder(ctx, lease, rejected)
		var refused *tokenRefused
		if !errors.As(err, &refused) {
			return err
		}
		if err := c.reportToken(ctx, refused.token); err != nil {
			return err
		}
	}
}

// good reports whether memory holds a token that needs no renewal.
func (c *credential) good(rejected string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mem.live(c.Wall) && c.mem.dueIn(c.Wall, c.spread) > 0 && (rejected == "" || c.mem.record.Token != rejected)
}

// serves reports whether memory holds a token to go on with while another
// sidecar renews.
func (c *credential) serves(rejected string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mem.live(c.Wall) && (rejected == "" || c.mem.record.Token != rejected)
}

// stuck is a lease as it was first seen.
type stuck struct {
	lease memcache.LeaseSeen
	since time.Time
}

// waitSlack is how long after its announced end a wait is believed.
const waitSlack = time.Minute

// endless reports whether the lease should have lapsed long ago: somebody wrote
// it by hand, without an end. It may be taken over, since no holder counts on a
// lease for as long as that.
func (c *credential) endless(held memcache.LeaseSeen) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stuck.lease.Same(held) {
		c.stuck = stuck{held, time.Now()}
		return false
	}
	switch {
	case time.Since(c.stuck.since) <= pollLife, !held.Held && held.Cooldown == nil:
		return false
	case held.Cooldown != nil && c.Wall().Before(time.Unix(held.Cooldown.Until, 0).Add(waitSlack)):
		return false
	}
	c.log().Warn("took over a lease that did not lapse", "hint", "did somebody write the AppID's key :lease by hand?")
	return true
}

// otherSecret reports whether the fleet waits for a person to mend an AppSecret
// that is not ours, and ours was not refused too.
func (c *credential) otherSecret(w *memcache.Cooldown) bool {
	if w.Class != wechat.Person.String() || w.Secret == "" {
		return false
	}
	secret, err := c.account.Secret()
	if err != nil {
		return false
	}
	ours := memcache.Fingerprint(secret)
	c.mu.Lock()
	defer c.mu.Unlock()
	return ours != w.Secret && (ours != c.refusal.secret || c.recentRefusal() == nil)
}

// renewUnder is steps 3 to 5: read again, call, write, give the lease back.
func (c *credential) renewUnder(ctx context.Context, lease *memcache.Lease, rejected string) error {
	c.reached("lease")
	// 3. The one who held the lease before may have finished in between.
	seen, err := c.readRecord()
	if err != nil {
		_ = lease.Release() // memcached fails: it lapses by itself
		return c.withoutMemcached(ctx, rejected, err)
	}
	c.adopt(seen.Record)
	if c.good(rejected) {
		_ = lease.Release()
		return nil
	}
	c.reached("read_again")
	// 4. One call, if the lease outlasts it.
	fetched, err := c.fetchUnder(ctx, lease, seen, rejected)
	if err != nil || fetched == nil {
		return err
	}
	c.reached("answer")
	// 5. Written only by the one whose lease it still is.
	ours := c.api != wechat.Token || lease.Verify() == nil // stable_token gives everybody the same
	written := ours && c.write(seen, fetched)
	if !written && c.api == wechat.Token {
		// Lost, or unknown: nobody can say whose token WeChat issued last.
		c.log().Warn("the lease was lost during a renewal: renewing once more",
			"hint", "was this pod stopped, or memcached restarted?")
		c.doubt(c.Wall(), fetched)
		c.settle()
		return nil
	}
	c.reached("record")
	c.adopt(fetched)
	c.settle()
	c.reached("entry")
	_ = lease.Release()
	_ = c.slot.ForgetTries()
	return nil
}

// write writes the record against the one that was read before the call. A
// conflict with a number not above that one is somebody's put-back of an older
// record, and is written over. It reports false where a newer record is there,
// and true where memcached fails: memory keeps it, and every look tries again.
func (c *credential) write(seen memcache.Seen, fetched *memcache.Record) bool {
	var read int64
	if seen.Record != nil {
		read = seen.Record.Number
	}
	for range 4 {
		err := c.slot.PutRecord(seen, fetched, c.recordLife(fetched))
		if !errors.Is(err, memcache.ErrConflict) {
			return true
		}
		if seen, err = c.readRecord(); err != nil {
			return true
		}
		if seen.Record != nil && seen.Record.Number > read {
			return seen.Record.Number == fetched.Number
		}
	}
	return false
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
