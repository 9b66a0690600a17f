package keeper

import (
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// look reads entry and record and mends what is amiss.
func (c *credential) look() {
	view, err := c.slot.Poll()
	if err != nil {
		c.memcachedFailed()
		return
	}
	c.see(view)
}

// see compares what memcached holds with what this sidecar remembers, mends it,
// and renews what is due. No step calls WeChat by itself.
func (c *credential) see(view memcache.View) {
	c.memcachedAnswered()
	c.payDoubt(nil)
	stranger := c.mend(view, false)
	newSecret := c.secretChanged()
	c.mu.Lock()
	defer c.mu.Unlock()
	if newSecret {
		c.refusal = refusal{}
	}
	if stranger != "" && c.flight == nil && c.recentRefusal() == nil {
		c.mem.rejected = memcache.Fingerprint(stranger) // as an app would report it
		c.start(stranger)
		return
	}
	c.startIfDue()
}

// settle writes what a renewal brought over whatever is there.
func (c *credential) settle() {
	if view, err := c.slot.Poll(); err == nil {
		c.mend(view, true)
	}
	c.confirm()
}

// confirm sees to the entry where what was just fetched or adopted may not be in
// it yet. The next look is up to 15 s away, and no sidecar passes its startup probe
// before it has seen the entry. Those that start together write it together, and
// all but one of them must look once more:
//
//	A: renews, record = t1
//	B: adopts t1, sees no entry     A: sees no entry
//	                                A: entry = t1
//	B: cannot add the entry
func (c *credential) confirm() {
	for range 3 {
		c.mu.Lock()
		published := c.published
		c.mu.Unlock()
		if published {
			return
		}
		view, err := c.slot.Poll()
		if err != nil {
			return
		}
		c.mend(view, false)
	}
}

// mend makes record and entry agree with the newest token known. It returns our
// token where a stranger's fetch has killed it, unless it was renewed just now.
func (c *credential) mend(view memcache.View, renewed bool) (killed string) {
	view.Record = c.sane(view.Record)
	there := view.Record.Record
	c.adopt(there)
	c.mu.Lock()
	mine, alive, left := c.mem.record, c.mem.live(c.Wall), time.Duration(0)
	rejected := c.mem.isRejected() && c.flight != nil // else it is better than none
	if alive {
		left = c.mem.left(c.Wall)
	}
	overdue := alive && c.mem.dueIn(c.Wall, 1) <= 0
	c.published = alive && view.Entry.Token == mine.Token
	stale := c.stale(view.Entry)
	c.mu.Unlock()
	if !alive {
		return ""
	}

	if !rejected && lacks(there, mine) {
		if !c.putBack(view.Record, mine, left) {
			return ""
		}
	}
	life := entryLife(mine.Life(), left)
	entry := view.Entry.Token
	known := entry == "" || mine.Knows(entry) || (there != nil && there.Knows(entry))
	switch {
	case entry == mine.Token:
		if overdue && stale { // WeChat is out of order: the entry must not lapse
			c.publish(view.Entry, mine.Token, life)
		}
	case renewed, known && !rejected:
		c.publish(view.Entry, mine.Token, life)
	case known:
		// Ours was rejected, and the renewal is about to bring another.
	case there == nil:
		// The record is lost, and this may be the token of a renewal whose record
		// was lost with it: the next look knows, when all have put theirs back.
	case mine.API != string(wechat.Token):
		c.meet(entry, "put back, since his fetch leaves ours valid")
		c.publish(view.Entry, mine.Token, life)
	default:
		c.meet(entry, "renewing, since his fetch killed ours")
		return mine.Token
	}
	return ""
}

// freshFor is how long after an entry was written nobody writes it again to keep it
// from lapsing: less than the 300 s that it has left when it is due.
const freshFor = time.Minute

// stale reports whether nobody has written the entry for a while, as far as this
// sidecar has seen. The caller holds mu.
func (c *credential) stale(entry memcache.Entry) bool {
	before, version := c.version, entry.Version()
	if version != before {
		c.version, c.written = version, time.Now()
		return before == 0 // nobody knows for how long it has been there
	}
	return time.Since(c.written) >= freshFor
}

// meet tells of a stranger's token, once.
func (c *credential) meet(token, remedy string) {
	fp := memcache.Fingerprint(token)
	c.mu.Lock()
	known := c.stranger == fp
	c.stranger = fp
	if !known {
		c.counts.Strays++
	}
	c.mu.Unlock()
	switch {
	case !known && c.mem.ticket:
		c.log().Warn("a stranger fetched a ticket and wrote it into our entry", "remedy", remedy, "ticket_fingerprint", fp, "hint", TicketHint)
	case !known:
		c.log().Warn("a stranger fetched a token and wrote it into our entry", "remedy", remedy,
			"token_fingerprint", fp, "hint", strangerHint)
	}
}

// lacks reports whether what memcached holds is missing, or older than mine.
func lacks(there, mine *memcache.Record) bool {
	return there == nil || there.Token == "" || there.Number < mine.Number
}

// aheadAtMost is how far a number may be ahead of the clock. Whoever believed a
// larger one would soon write numbers that nobody can read.
const aheadAtMost = 365 * 24 * time.Hour

// sane takes a record with an absurd number for one that cannot be read.
func (c *credential) sane(seen memcache.Seen) memcache.Seen {
	if seen.Record != nil && seen.Record.Number > c.Wall().Add(aheadAtMost).UnixMilli() {
		seen.Record, seen.Unreadable = nil, true
	}
	return seen
}

// readRecord reads the record.
func (c *credential) readRecord() (memcache.Seen, error) {
	seen, err := c.slot.Record()
	return c.sane(seen), err
}

// putBack writes the remembered record where memcached has an older one or none.
// One without a token is newer, and its doubt is about this token: both go on.
//
// Where memcached has forgotten the record of a token that is about to be due,
// nobody renews it for its age until everybody has put back what he remembers:
//
//	A: renews, record = t2          B: has not looked since, remembers t1
//	   memcached restarts
//	                                B: t1 is due, and there is no record
//	A: looks, puts t2 back          B: calls WeChat, which issues t3 and kills t1
//	                                all who remember t1 give a dead token
func (c *credential) putBack(seen memcache.Seen, mine *memcache.Record, left time.Duration) bool {
	back := mine
	if seen.Record == nil {
		c.mu.Lock()
		soon := c.mem.dueIn(c.Wall, 0) <= settling && left > 2*settling
		c.mu.Unlock()
		if soon {
			c.settleFirst()
		}
	}
	if there := seen.Record; there != nil && there.Number >= mine.Number {
		back = mine.Clone()
		c.mu.Lock()
		back.Number = c.mem.nextNumber(c.Wall)
		c.mu.Unlock()
		back.Doubt = max(back.Doubt, there.Doubt)
	}
	if c.slot.PutRecord(seen, back, left) != nil {
		return false // somebody was faster, or memcached fails: the next look sees
	}
	c.adopt(back)
	return true
}

// settleFirst makes the fleet wait, unless somebody is renewing.
func (c *credential) settleFirst() {
	lease, err := c.slot.TakeLease()
	if err != nil {
		return
	}
	_ = lease.CoolDown(memcache.Cooldown{
		Class: settlingClass, ErrCode: busyCode, Until: c.Wall().Add(settling).Unix(),
		ErrMsg: "memcached was emptied: waiting for what the other sidecars remember",
	}, settling)
}

// publish writes the entry. Where somebody was faster, or memcached fails, the
// next look sees to it.
func (c *credential) publish(seen memcache.Entry, token string, life time.Duration) {
	if life < time.Second {
		return
	}
	if err := c.slot.PutEntry(seen, token, life); err == nil {
		c.mu.Lock()
		c.published = true
		c.mu.Unlock()
	}
}

// secretChanged reports whether a person has changed the AppSecret that the last
// renewal was refused with.
func (c *credential) secretChanged() bool {
	c.mu.Lock()
	refused := c.refusal.secret
	c.mu.Unlock()
	if refused == "" {
		return false
	}
	secret, err := c.account.Secret()
	return err == nil && memcache.Fingerprint(secret) != refused
}

// memcachedFailed notes that memcached does not answer, and serves what is due
// without it.
func (c *credential) memcachedFailed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.downSince.IsZero() {
		c.downSince = time.Now()
	}
	c.published = false
	c.startIfDue()
}

func (c *credential) memcachedAnswered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.downSince, c.looked = time.Time{}, time.Now()
}
