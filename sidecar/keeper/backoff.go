package keeper

import (
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// failure is a renewal that failed here. It cannot succeed before until.
type failure struct {
	err    error
	until  time.Time // monotonic
	secret string    // fingerprint of the AppSecret, if only a person can help
	local  bool      // a failure of this sidecar alone
	handed string    // fingerprint of the reported token whose renewal was handed over to the others
	day    bool      // memcached has a cooldown for the day's quota
	down   time.Time // when memcached failed, if that is the cause; else zero
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// backoff is why the last renewal of this sidecar failed, and when it tries again. The
// credential's mu guards it.
type backoff struct {
	err      *Error
	begun    time.Time // of the first failure in a row
	since    time.Time
	until    time.Time     // monotonic
	again    time.Time     // when a caller should try again, monotonic; not before until
	secret   string        // fingerprint of the AppSecret, if only a person can help
	received *wechat.Error // the last failure that this process received from WeChat
	streak   int           // failures of this sidecar alone since its last success
	down     bool          // the wait began because memcached failed, and ends when that answers again
	own      time.Time     // the wait after the last of these, monotonic
	handed   *failure      // the last of these, if the others renew the reported token meanwhile
	day      bool          // all wait for the day's quota, by a cooldown of this sidecar
}

// stillFailing is how long after a wait the next failure is at most one of the same row.
// A poll starts the next attempt, or another sidecar makes it.
const stillFailing = time.Minute

// set notes a failure. The wait after a failure of this sidecar alone is not shortened by
// a cooldown of all that it reads meanwhile: otherwise it would be the first to try again.
func (b *backoff) set(f *failure, now time.Time) {
	if b.err == nil || now.Sub(b.until) > stillFailing {
		b.begun = now
	}
	b.err, b.since, b.until, b.secret, b.down, b.day = asError(f), now, f.until, f.secret, !f.down.IsZero(), f.day
	if f.local {
		b.streak++
		b.own, b.handed = f.until, nil
		if f.handed != "" {
			b.handed = f
		}
	}
	if b.own.After(b.until) {
		b.until = b.own
	}
	if b.again = now.Add(b.err.RetryAfter); b.until.After(b.again) {
		b.again = b.until
	}
}

// noteReceived notes a failure that this process received from WeChat.
func (c *credential) noteReceived(e *wechat.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.backoff.received = e
}

// dayEnded reports whether the cooldown for the day's quota is gone before its time: EndDay
// ended it. A memcached that did not store it does not.
func (c *credential) dayEnded() bool {
	c.mu.Lock()
	waits := c.backoff.day && c.backoff.recent(time.Now()) != nil
	c.mu.Unlock()
	if !waits {
		return false
	}
	seen, err := c.slot.Lease()
	return err == nil && seen.Cooldown == nil && !seen.Held
}

// EndDay ends the cooldowns of an account that wait for WeChat's daily quota, because that was
// reset. The sidecars notice at their next poll, or within a minute after it.
func EndDay(store *memcache.Store, appID string) error {
	for _, kind := range []memcache.Kind{memcache.AccessToken, memcache.JSAPITicket, memcache.WXCardTicket} {
		slot, err := store.Slot(appID, kind)
		if err != nil {
			return err
		}
		seen, err := slot.Lease()
		if err == nil && seen.Cooldown != nil && protocol.Class(seen.Cooldown.Class) == protocol.Day {
			var lease *memcache.Lease
			if lease, err = slot.TakeOver(seen); err == nil {
				err = lease.Release()
			}
		}
		if err != nil && !errors.Is(err, memcache.ErrHeld) && !errors.Is(err, memcache.ErrLost) { // another sidecar renews
			return err
		}
	}
	return nil
}

// clear ends the wait. The streak lasts until a request of this sidecar succeeds.
func (b *backoff) clear() { *b = backoff{streak: b.streak} }

// recent returns why a renewal that just failed would fail again, or nil.
func (b *backoff) recent(now time.Time) error {
	if b.err == nil || !now.Before(b.until) {
		return nil
	}
	err := *b.err
	err.RetryAfter = (b.again.Sub(now) + time.Second - 1).Truncate(time.Second)
	return &err
}

// holdBack returns how much later than the others this sidecar renews. entry is how long
// the entry still lives when the credential is due.
func (b *backoff) holdBack(entry time.Duration) time.Duration {
	if b.streak == 0 {
		return 0
	}
	local := protocol.Failure{Local: true, Unsent: true}
	return max(0, protocol.Yield(local, true, true, b.streak-1, 0, entry).Own)
}

// alarm calls ring after a time. The credential's mu guards it.
type alarm struct {
	ring    func()
	timer   *time.Timer
	stopped bool
}

func (a *alarm) set(wait time.Duration) {
	switch {
	case a.stopped:
	case a.timer == nil:
		a.timer = time.AfterFunc(wait, a.ring)
	default:
		a.timer.Reset(wait)
	}
}

func (a *alarm) stop() {
	a.stopped = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

// arm sets the alarm for the time when the credential is due, or when a failed renewal is
// tried again. The caller holds mu.
func (c *credential) arm(now protocol.Now) {
	wait := c.held.Rest(now)
	if c.held.Valid(now) && !c.held.IsReported() {
		wait = max(c.dueIn(now), 0)
	}
	c.alarm.set(max(wait, c.backoff.until.Sub(now.Mono)))
}

// dueIn returns the time until this sidecar renews a valid credential. A sidecar whose
// own requests failed lately renews after the others. The caller holds mu.
func (c *credential) dueIn(now protocol.Now) time.Duration {
	due := c.held.DueIn(now, c.spread)
	return due + c.backoff.holdBack(c.held.EntryLeft(now)-max(0, due))
}

// forceRefreshEvery is the shortest time between two requests with force_refresh: WeChat
// allows 20 a day.
const forceRefreshEvery = 75 * time.Minute

// spent is the use of the budget that a request takes.
type spent struct {
	mark memcache.Spent
	own  bool // this process counted it
}

// takeUse takes a use of the budget, of this process and of all. It reports whether both
// had one.
func (a *attempt) takeUse(now protocol.Now) (bool, error) {
	a.mu.Lock()
	a.spent.own = a.link.spent.Spend(now)
	a.mu.Unlock()
	if !a.spent.own {
		return false, nil
	}
	mark, ok, err := a.slot.Spend(memcache.MarkBudget, protocol.Budget, protocol.BudgetWindow)
	a.spent.mark = mark
	if !ok || err != nil {
		a.giveBack()
	}
	return ok, err
}

// giveBack frees the use of the budget, because the request was not sent.
func (a *attempt) giveBack() {
	if a.spent.own {
		a.mu.Lock()
		a.link.spent.GiveBack()
		a.mu.Unlock()
	}
	_ = a.slot.GiveBack(a.spent.mark) // if it fails, the use stays taken
	a.spent = spent{}
}

// mayCheck takes the one check of a reported token that this process allows in 31 s: the mark
// of the last report can be deleted.
func (c *credential) mayCheck() bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link.spent.Check(now)
}

// mayForceRefresh takes the one force_refresh that is allowed in 75 minutes, and a use of
// the budget. It reports whether it got both.
func (a *attempt) mayForceRefresh() (mark memcache.Spent, ok bool) {
	mark, ok, err := a.slot.Take(memcache.MarkForceRefresh, forceRefreshEvery)
	if !ok || err != nil {
		return mark, false
	}
	now := a.now()
	a.mu.Lock()
	own := a.link.spent.Force(forceRefreshEvery, now)
	a.mu.Unlock()
	if !own {
		_ = a.slot.GiveBack(mark)
		return mark, false
	}
	if ok, err = a.takeUse(now); !ok || err != nil {
		a.giveForceBack(mark)
		return mark, false
	}
	return mark, true
}

// giveForceBack lets the next renewal use force_refresh.
func (a *attempt) giveForceBack(mark memcache.Spent) {
	a.mu.Lock()
	a.link.spent.GiveForceBack()
	a.mu.Unlock()
	_ = a.slot.GiveBack(mark)
}
