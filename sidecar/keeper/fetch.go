package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	// callLife bounds everything said to WeChat in one renewal.
	callLife = 10 * time.Second
	// callNeeds is what must be left of the lease before the call: the call, and
	// a second to write.
	callNeeds = callLife + time.Second
	// calls and callsWindow bound the unplanned calls: 10 in any 10 minutes.
	calls       = 10
	callsWindow = 10 * time.Minute
	// forceWindow spaces forced renewals of stable_token: WeChat allows 20 a day.
	forceWindow = 75 * time.Minute
)

// fetchUnder makes the call that the lease allows and returns the record to
// write. On failure the lease has become a wait, or lapses by itself. It returns
// no record and no error where memcached failed before the call and there is a
// token all the same.
func (c *credential) fetchUnder(ctx context.Context, lease *memcache.Lease, seen memcache.Seen, rejected string) (*memcache.Record, error) {
	request, err := c.request()
	if err != nil {
		_ = lease.Release()
		return nil, err
	}
	tries, err := c.slot.CountTry()
	if err != nil {
		return nil, c.withoutMemcached(ctx, rejected, err)
	}
	allowed, err := c.allowed(rejected, tries)
	if err != nil {
		return nil, c.withoutMemcached(ctx, rejected, err)
	}
	if !allowed {
		return nil, c.waitBudget(lease)
	}
	if err := lease.Verify(); err != nil || lease.Left() < callNeeds {
		if errors.Is(err, memcache.ErrLost) || err == nil {
			_ = lease.Release()
			return nil, &Error{Reason: Unavailable, Code: busyCode, Message: "the lease was lost before the call", RetryAfter: time.Second}
		}
		return nil, c.withoutMemcached(ctx, rejected, err)
	}

	ctx, cancel := context.WithTimeout(ctx, callLife)
	defer cancel()
	began := c.Wall()
	c.mu.Lock()
	number := c.mem.nextNumber(c.Wall)
	c.mem.number = number
	c.mu.Unlock()
	c.countCall(true, false)
	c.reached("call")
	got, err := c.WeChat.Fetch(ctx, request)
	if err == nil && got.Value == rejected {
		got, err = c.force(ctx, request, got)
	}
	if c.refusesToken(err) {
		if c.mayReport() {
			_ = lease.Release()
			return nil, &tokenRefused{err, request.Token}
		}
		err = refusedAgain(err)
	}
	if err != nil {
		return nil, c.failed(lease, err, tries, memcache.Fingerprint(request.Secret))
	}
	record := c.record(got, c.api, number, began, seen.Record)
	c.log().Info("renewed", "expires_in", int(got.ExpiresIn.Seconds()), "api", record.API,
		"token_fingerprint", memcache.Fingerprint(record.Token))
	return record, nil
}

// force asks for another token where WeChat vouches for the one that was
// reported: once in 75 minutes the report is believed, where it is stable_token
// that vouches. Otherwise same stays, and counts as good again.
func (c *credential) force(ctx context.Context, request wechat.Request, same wechat.Credential) (wechat.Credential, error) {
	got := same
	if c.api == wechat.StableToken && c.mayForce() {
		request.Force = true
		c.countCall(true, true)
		forced, err := c.WeChat.Fetch(ctx, request)
		var failed *wechat.Error
		if errors.As(err, &failed) && failed.MayHaveIssued {
			// The old one may be dead: without force, WeChat gives the new one again.
			request.Force = false
			c.countCall(true, false)
			forced, err = c.WeChat.Fetch(ctx, request)
			if err != nil {
				return same, err
			}
		}
		if err == nil {
			got = forced
		}
	}
	if got.Value == same.Value {
		c.mu.Lock()
		c.mem.rejected = ""
		c.mu.Unlock()
	}
	return got, nil
}

// mayForce takes the one forced renewal that stable_token is asked for in 75
// minutes, and a place in the budget.
func (c *credential) mayForce() bool {
	ok, err := c.slot.Mark(memcache.MarkForceRefresh, forceWindow)
	if !ok || err != nil {
		return false
	}
	_, ok, err = c.slot.Spend(memcache.MarkBudget, calls, callsWindow)
	return ok && err == nil
}

// allowed reports whether a call may be made. Planned is the one that every
// renewal needs, the first since the last success, for a live token that is due
// by its age alone; there is one in half the time after which a token is due,
// whatever the clocks say. All others share the budget, which the planned one
// uses too without being refused.
func (c *credential) allowed(rejected string, tries int) (bool, error) {
	c.mu.Lock()
	planned := tries == 1 && rejected == "" && c.mem.live(c.Wall) && c.mem.record.Doubt == 0
	var half time.Duration
	if planned {
		half = max(time.Second, dueAfter(c.mem.record.Life(), 0)/2)
	}
	c.mu.Unlock()
	if planned {
		first, err := c.slot.Mark(memcache.MarkPlanned, half)
		if first && half > callsWindow { // else planned calls alone would use the budget up
			_, _, err = c.slot.Spend(memcache.MarkBudget, calls, callsWindow)
		}
		if first || err != nil {
			return first && err == nil, err
		}
	}
	_, ok, err := c.slot.Spend(memcache.MarkBudget, calls, callsWindow)
	return ok, err
}

// record is what a call that began then brought.
func (c *credential) record(got wechat.Credential, api wechat.API, number int64, began time.Time, before *memcache.Record) *memcache.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &memcache.Record{
		V: memcache.RecordVersion, Token: got.Value, Number: number, API: string(api), By: c.Name,
		Issued: began.Unix(), Expires: began.Unix() + int64(got.ExpiresIn.Seconds()),
	}
	for _, older := range []*memcache.Record{before, c.mem.record} {
		if older == nil {
			continue
		}
		r.Past = older.PastAfter(got.Value)
		if older.Doubt > began.Unix() && api == wechat.Token {
			r.Doubt = max(r.Doubt, older.Doubt) // the call in doubt may still be on its way
		}
	}
	r.Today = c.mem.dayOf(dateOf(c.Wall()))
	if before != nil && before.Today.Date == r.Today.Date {
		r.Today.Renewals = max(r.Today.Renewals, before.Today.Renewals)
	}
	r.Today.Renewals++
	if !c.mem.onTime(c.Wall) {
		r.Early = int64(early(r.Life(), c.house.kept(), c.Rand()).Seconds())
	}
	c.own = r
	c.counts.Renewed++
	return r
}
