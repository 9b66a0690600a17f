package keeper

import (
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
)

// repair writes what record and entry lack of the newest token. renewed is true after a
// renewal. It reports whether an external token invalidated the held one.
func (c *credential) repair(view memcache.View, renewed bool) (invalidated bool) {
	view.Record = c.adopt(view.Record)
	now := c.now()
	c.mu.Lock()
	repair := c.held.Reconcile(protocol.Polled{
		View: view, Renewing: c.run != nil, Renewed: renewed, Stale: c.stale(view.Entry, now.Mono), UnclearSince: c.polls.unclear,
	}, now)
	valid, value := c.held.Valid(now), ""
	if valid {
		value = c.held.Record.Token
	}
	c.polls.published = valid && view.Entry.Token == value
	c.noteUnclear(repair.Unclear, now)
	c.mu.Unlock()

	if repair.PutBack != nil && !c.putBack(view.Record, repair) {
		return false
	}
	if repair.External != "" {
		c.noteExternal(repair.External, repair.Renew)
	}
	if repair.Publish {
		c.publish(view.Entry, value, repair.Life)
	}
	return repair.Renew
}

// putBack writes the held record. It reports false if another sidecar was faster, or
// memcached fails: the next poll tries again.
//
// If memcached has lost the record of a token that is nearly due, no sidecar renews it
// for its age until all have put back what they hold, see
// sidecar/keeper/testdata/stories/restart_before_due.txt.
func (c *credential) putBack(seen memcache.Seen, repair protocol.Repair) bool {
	if repair.Wait {
		c.waitForRebuild()
	}
	if !c.stored(c.slot.PutRecord(seen, repair.PutBack, c.recordLife(repair.PutBack))) {
		return false
	}
	c.remember(repair.PutBack)
	return true
}

// publish writes the entry. If another sidecar was faster, or memcached fails, the next
// poll tries again.
func (c *credential) publish(seen memcache.Entry, token string, life time.Duration) {
	if life < time.Second {
		return
	}
	if c.stored(c.slot.PutEntry(seen, token, life)) {
		c.mu.Lock()
		c.polls.published = true
		c.polls.entryEnds = time.Now().Add(life)
		c.mu.Unlock()
	}
}

// stored reports whether memcached stored something, and notes the reason if not.
func (c *credential) stored(err error) bool {
	if errors.Is(err, memcache.ErrConflict) { // another sidecar was faster
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link.unstored = nil
	if err != nil {
		c.link.unstored = &unstored{err, time.Now()}
	}
	return err == nil
}

// publishRenewed writes the renewed token over any entry.
func (c *credential) publishRenewed() {
	if view, err := c.slot.Poll(); err == nil {
		c.repair(view, true)
	}
}

// confirm publishes the held token, if the entry does not have it yet: the next poll is up
// to 15 s away, and the startup probe waits for the entry. Sidecars that start together
// adopt and write it together, and all but one must read it once more, see
// sidecar/keeper/testdata/stories/start_together.txt.
func (c *credential) confirm() {
	for range 3 {
		c.mu.Lock()
		published := c.polls.published
		c.mu.Unlock()
		if published {
			return
		}
		view, err := c.slot.Poll()
		if err != nil {
			return
		}
		c.repair(view, false)
	}
}

// rebuild puts back the record that memcached has lost. It reports whether it is unclear
// who fetched the token of the entry: then no renewal is due by age.
func (c *credential) rebuild() bool {
	view, err := c.slot.Poll()
	if err != nil {
		return false // the renewal finds out
	}
	c.repair(view, false)
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.polls.unclear.IsZero()
}

// noteUnclear notes whether it is unclear who fetched the token of the entry. If so, the
// alarm polls again soon. The caller holds mu.
func (c *credential) noteUnclear(unclear bool, now protocol.Now) {
	switch {
	case !unclear:
		c.polls.unclear = time.Time{}
		return
	case c.polls.unclear.IsZero():
		c.polls.unclear = now.Mono
	}
	c.alarm.set(unclearEvery)
}

// stale reports whether no sidecar has written the entry for a minute, as far as this
// one has seen. The caller holds mu.
func (c *credential) stale(entry memcache.Entry, now time.Time) bool {
	before, version := c.polls.version, entry.Version()
	if version != before {
		c.polls.version, c.polls.written = version, now
		return before == 0 // the first sight: it may be old
	}
	return now.Sub(c.polls.written) >= freshFor
}

// noteExternal logs an external token, once.
func (c *credential) noteExternal(token string, invalidated bool) {
	fp := memcache.Fingerprint(token)
	c.mu.Lock()
	known := c.polls.external == fp
	c.polls.external = fp
	if !known {
		c.counts.ExternalTokens++
	}
	c.mu.Unlock()
	remedy := "put back ours: it is still valid"
	if invalidated {
		remedy = "renew: the external fetch invalidated ours"
	}
	switch {
	case !known && c.isTicket():
		c.log().Warn("external ticket detected", "remedy", remedy, "ticket_fingerprint", fp, "hint", hint.ExternalTicket)
	case !known:
		c.log().Warn("external token detected", "event", "external_token", "remedy", remedy, "token_fingerprint", fp, "hint", hint.ExternalToken)
	}
}

// polls is what polls of memcached found. The credential's mu guards it.
type polls struct {
	published bool          // the entry had the held token
	version   uint64        // of the entry
	written   time.Time     // when that version was first seen
	entryEnds time.Time     // when the entry that this sidecar wrote expires; zero if unknown
	external  string        // fingerprint of the last external token
	unclear   time.Time     // since when it is unclear who fetched the entry's token; zero: it is clear
	downSince time.Time     // when memcached began to fail; zero while it answers
	answered  time.Time     // when it last answered
	onRead    time.Time     // when a read last caused a poll
	polling   bool          // such a poll runs
	catching  chan struct{} // closed when the poll after a pause is done; nil if none runs
	warned    warned
}

// paused reports whether this process was paused: no poll was tried for longer than two
// polls. A poll that was on its way then can have failed since.
func (p *polls) paused(now time.Time) bool {
	tried := now
	if !p.downSince.IsZero() {
		tried = p.downSince
	}
	return !p.answered.IsZero() && tried.Sub(p.answered) > 2*protocol.PollEvery(1)
}

// unstored is a write that failed while memcached answered others.
type unstored struct {
	err error
	at  time.Time
}
