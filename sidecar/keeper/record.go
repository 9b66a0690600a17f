package keeper

import (
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// read reads the record and adopts it if it is newer than what is held.
func (c *credential) read() (memcache.Seen, error) {
	seen, err := c.slot.Record()
	if err != nil {
		return seen, err
	}
	return c.adopt(seen), nil
}

// adopt notes a record that was read. It returns the record, marked as unreadable if its
// times are not plausible.
func (c *credential) adopt(seen memcache.Seen) memcache.Seen {
	now := c.now()
	if seen.Record != nil && !protocol.Plausible(seen.Record, now) {
		seen.Record, seen.Unreadable = nil, true
	}
	c.mu.Lock()
	before := c.held.Record
	changed := c.held.Adopt(seen.Record, now)
	var off time.Duration
	if changed {
		off = c.held.ClockOff(seen.Record, now)
		if before != nil && before.Issued != seen.Record.Issued {
			c.counts.Adopted++
		}
		c.renewed(before, now)
	}
	c.noteChange(now)
	c.mu.Unlock()
	c.notify()
	if changed {
		c.logAdopted(before, seen.Record, now)
		c.warnOfClock(off, seen.Record.By)
		c.warnOfVersion(seen.Record)
	}
	return seen
}

// logAdopted logs that this sidecar holds a credential which another one fetched.
func (c *credential) logAdopted(before, r *memcache.Record, now protocol.Now) {
	if r.Token == "" || (before != nil && before.Token == r.Token) {
		return
	}
	c.mu.Lock()
	left := c.held.Left(now)
	c.mu.Unlock()
	fields := []any{"event", "token_adopted", "by", r.By, "expires_in", int(left.Seconds()), "token_fingerprint", memcache.Fingerprint(r.Token)}
	if c.isTicket() {
		c.log().Info("ticket adopted", fields...)
	} else {
		c.log().Info("token adopted", fields...)
	}
}

// remember notes a record that this sidecar made.
func (c *credential) remember(r *memcache.Record) {
	now := c.now()
	c.mu.Lock()
	before := c.held.Record
	if c.held.Remember(r, now) {
		c.renewed(before, now)
	}
	c.noteChange(now)
	c.mu.Unlock()
	c.notify()
}

// renewed updates what depends on the held record after it changed. The caller holds mu.
func (c *credential) renewed(before *memcache.Record, now protocol.Now) {
	c.history.hold(c.held.Record.Token)
	if before == nil || before.Token != c.held.Record.Token || before.Issued != c.held.Record.Issued {
		c.backoff.clear()
		c.reports.end(&c.held)
	}
	if before != nil && before.Reported != "" && before.Token == c.held.Record.Token && c.held.Record.Reported == "" {
		c.reports.owner, c.held.Reported = "", "" // another sidecar renewed for it, and WeChat gave the same token
	}
	c.arm(now)
}

// noteChange notes the call that Config.Changed must get, if the held credential changed.
// The caller holds mu, and calls notify without it.
func (c *credential) noteChange(now protocol.Now) {
	r := c.held.Record
	if c.Changed == nil || r == nil || !c.held.Valid(now) || (c.history.lastNotified == r.Token && c.history.expires == r.Expires) {
		return
	}
	c.history.lastNotified, c.history.expires = r.Token, r.Expires
	c.history.change = &Change{
		AppID: c.account.AppID, Kind: c.kind, Value: r.Token, Number: r.Number,
		Expires: now.Wall.Add(c.held.Left(now)), Own: c.history.own == memcache.Fingerprint(r.Token),
	}
}

// notify calls Config.Changed with the last change, without a lock. Only one goroutine at
// a time does so: an older change never follows a newer one.
func (c *credential) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.history.notifying {
		return // that goroutine takes this change too
	}
	c.history.notifying = true
	for c.history.change != nil {
		change := *c.history.change
		c.history.change = nil
		c.mu.Unlock()
		c.Changed(change)
		c.mu.Lock()
	}
	c.history.notifying = false
}

// rewrite changes the record by compare-and-swap. change gets the record in memcached, or
// nil if there is none, and returns the new one, or nil to leave it. It is called with mu
// held, and again after a conflict. seen is the record as last read; if it is the zero
// value, rewrite reads it first. written is true if the record was replaced.
func (c *credential) rewrite(seen memcache.Seen, change func(there *memcache.Record, now protocol.Now) *memcache.Record) (written bool, err error) {
	for turn := range 4 {
		if turn > 0 || (seen.Record == nil && !seen.Unreadable) {
			if seen, err = c.read(); err != nil {
				return false, err
			}
		}
		now := c.now()
		c.mu.Lock()
		r := change(seen.Record, now)
		var life time.Duration
		if r != nil {
			life = c.held.RecordLife(r, now)
		}
		c.mu.Unlock()
		if r == nil {
			return false, nil
		}
		switch err = c.slot.PutRecord(seen, r, life); {
		case err == nil:
			c.remember(r)
			return true, nil
		case !errors.Is(err, memcache.ErrConflict):
			return false, err
		}
	}
	return false, err
}

// mark writes the doubt that this sidecar owes, if it owes one. If it cannot, the next
// poll tries again.
func (c *credential) mark() {
	c.mu.Lock()
	unsettled := c.unsettled
	c.mu.Unlock()
	if !unsettled.Owes() {
		return
	}
	id := memcache.NewID()
	written, err := c.rewrite(memcache.Seen{}, func(there *memcache.Record, now protocol.Now) *memcache.Record {
		marked := c.held.Mark(there, unsettled.At, id, c.Name, now)
		if marked.API == "" {
			marked.API = string(c.api)
		}
		return marked
	})
	if err != nil || !written {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unsettled == unsettled {
		c.unsettled = protocol.Unsettled{}
	}
}

// recordLife returns how long memcached keeps a record.
func (c *credential) recordLife(r *memcache.Record) time.Duration {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held.RecordLife(r, now)
}

// warnOfVersion logs once that a record of a newer version was found.
func (c *credential) warnOfVersion(r *memcache.Record) {
	c.mu.Lock()
	first := r.Newer() && !c.polls.warned.newer
	c.polls.warned.newer = c.polls.warned.newer || first
	c.mu.Unlock()
	if first {
		c.log().Warn("record of a newer version found", "version", r.V, "by", r.By, "hint", hint.NewerRecord)
	}
}

// takeBack ends the claim: the request issued nothing. reported, if not empty, is the
// fingerprint of the reported token that is handed over.
func (a *attempt) takeBack(reported string) {
	if a.id == "" && reported == "" {
		return
	}
	written, _ := a.rewrite(a.claimed, func(there *memcache.Record, now protocol.Now) *memcache.Record {
		switch {
		case a.id != "" && there != nil && there.Claim == a.id:
			return a.held.TakeBack(a.before.Record, a.claimed.Record, there, reported, now)
		case reported != "" && there != nil && there.Token != "" && memcache.Fingerprint(there.Token) == reported:
			handed := there.Clone()
			handed.Reported, handed.Number = reported, a.held.NextNumber(now)
			a.held.Stamp(handed, now)
			return handed
		}
		return nil
	})
	if !written {
		a.forgetClaim(reported)
	}
}

// forgetClaim takes the claim back in memory if that could not be written: the next poll
// writes it.
func (a *attempt) forgetClaim(reported string) {
	now := a.now()
	a.mu.Lock()
	held := a.held.Record
	if a.id == "" || held == nil || held.Claim != a.id {
		a.mu.Unlock()
		return
	}
	back := a.held.TakeBack(a.before.Record, a.claimed.Record, held, reported, now)
	a.mu.Unlock()
	a.remember(back)
}

// succeeded remembers what was fetched and written.
func (a *attempt) succeeded(fetched *memcache.Record) {
	if fetched != nil {
		a.remember(fetched)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.backoff.streak, a.backoff.own = 0, time.Time{}
	a.reports.end(&a.held)
}

// success returns the record of the fetched credential.
func (a *attempt) success(got wechat.Credential, before, there *memcache.Record, number int64) *memcache.Record {
	now, date := a.now(), dateOf(a.Wall())
	credentials, spread := a.group.credentialCount(), a.Rand()
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.held.Success(protocol.Fetched{
		Token: got.Value, Life: got.ExpiresIn, API: string(a.request.API), By: a.Name, Sent: a.sent, Doubtless: !a.claims(),
	}, number, []*memcache.Record{there, before, a.holding}, now, a.id)
	r.Today = a.held.DayOf(date)
	for _, older := range []*memcache.Record{before, there} {
		if older != nil && older.Today.Date == date {
			r.Today.Renewals = max(r.Today.Renewals, older.Today.Renewals)
		}
	}
	r.Today.Renewals++
	r.Today.Requests = max(r.Today.Requests, r.Today.Renewals)
	if !a.onTime && !r.Again {
		r.Early = int64(protocol.Early(r.Life(), credentials, spread).Seconds())
	}
	a.history.own = memcache.Fingerprint(r.Token)
	return r
}
