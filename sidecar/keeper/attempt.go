package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	// requestLife bounds everything that is sent to WeChat in one renewal.
	requestLife = 10 * time.Second
	// requestNeeds is how much of the lease must be left before the request: the request,
	// and a second to write.
	requestNeeds = requestLife + time.Second
)

// attempt is one renewal under a lease.
type attempt struct {
	*credential
	lease   *memcache.Lease
	why     protocol.Why
	before  memcache.Seen // the record as read under the lease
	request wechat.Request
	spent   spent            // the use of the budget
	id      string           // of the claim; "" if the API needs none
	claimed memcache.Seen    // the claim as read back from memcached
	number  int64            // of the record that a success writes
	sent    protocol.Now     // before the request was sent
	holding *memcache.Record // held when the request was sent
	onTime  bool             // see protocol.Held.OnTime
}

// read reads the record under the lease, and prepares the request. done is true if the
// renewal ends here.
func (a *attempt) read(ctx context.Context) (done bool, err error) {
	if a.before, err = a.credential.read(); err != nil {
		_ = a.lease.Release()
		return true, a.withoutMemcached(ctx, a.why, "get", err)
	}
	if !a.wants(a.why) {
		_ = a.lease.Release()
		return true, nil
	}
	if a.request, err = a.newRequest(); err != nil {
		_ = a.lease.Release()
		return true, err
	}
	return false, nil
}

// spend takes one use of the budget, unless the request is planned.
func (a *attempt) spend(ctx context.Context) error {
	now := a.now()
	a.mu.Lock()
	every, planned := a.held.PlanFor(a.why, now)
	a.onTime = a.held.OnTime(now)
	planned = planned && a.link.spent.Plan(every, now)
	a.mu.Unlock()
	if planned && every > 0 {
		first, err := a.slot.Mark(memcache.MarkPlanned, every)
		if err != nil {
			_ = a.lease.Release()
			return a.leaveMemcached(ctx, a.why, "add", err)
		}
		planned = first
	}
	ok, err := a.takeUse(now)
	switch {
	case planned && err == nil: // it takes a use if one is free, and is never refused
	case err != nil:
		_ = a.lease.Release()
		return a.leaveMemcached(ctx, a.why, "add", err)
	case !ok:
		return a.waitForBudget()
	}
	return nil
}

// claim writes the claim, reads it back, and verifies the lease. Any error but a conflict
// means that memcached does not do what a renewal needs.
func (a *attempt) claim(ctx context.Context) error {
	if err := a.writeClaim(ctx); err != nil {
		return err
	}
	switch err := a.lease.Verify(); {
	case err == nil && a.lease.Left() >= requestNeeds:
		a.noteSent()
		a.memcachedServes()
		return nil
	case err == nil, errors.Is(err, memcache.ErrLost):
		a.takeBack("")
		a.giveBack()
		_ = a.lease.Release()
		return errAgain
	default:
		a.takeBack("")
		a.giveBack()
		_ = a.lease.Release()
		return a.leaveMemcached(ctx, a.why, "get", err)
	}
}

// writeClaim writes the claim over what was read, always by compare-and-swap. So a
// memcached that refuses that command is found before the request.
func (a *attempt) writeClaim(ctx context.Context) error {
	if !a.claims() {
		now := a.now()
		a.mu.Lock()
		a.number = a.held.NextNumber(now)
		a.mu.Unlock()
		return nil
	}
	entry, err := memcache.Entry{}, error(nil)
	if a.before.Record == nil || a.before.Record.Token == "" {
		if entry, err = a.slot.Entry(); err != nil {
			return a.unclaimed(ctx, "get", err)
		}
	}
	now, id := a.now(), memcache.NewID()
	a.mu.Lock()
	record := a.held.Claim(a.before.Record, entry.Token, id, a.Name, now)
	life := a.held.RecordLife(record, now)
	a.mu.Unlock()
	over := a.before
	if over.Record == nil && !over.Unreadable {
		empty := record.Clone()
		empty.Doubt, empty.Claim = 0, ""
		if err := a.slot.PutRecord(over, empty, life); err != nil {
			return a.unclaimed(ctx, "add", err)
		}
		if over, err = a.readBack(empty); err != nil {
			return a.unclaimed(ctx, "get", err)
		}
	}
	if err := a.slot.PutRecord(over, record, life); err != nil {
		return a.unclaimed(ctx, "cas", err)
	}
	if a.claimed, err = a.readBack(record); err != nil {
		return a.unclaimed(ctx, "get", err)
	}
	a.id, a.number = id, record.Number+1
	a.remember(record)
	return nil
}

// readBack reads what was just written, and returns ErrConflict if another record is there.
func (a *attempt) readBack(r *memcache.Record) (memcache.Seen, error) {
	seen, err := a.slot.Record()
	switch {
	case err != nil || seen.Holds(r):
		return seen, err
	case seen.Record == nil && !seen.Unreadable:
		return seen, errNotStored
	}
	return seen, memcache.ErrConflict
}

// errNotStored means that memcached has lost a claim at once. Once is an eviction. If it
// happens again, memcached keeps no record, and a renewal needs one.
var errNotStored = errors.New("memcached lost the record that it has just stored; give memcached more memory (-m)")

// unclaimed ends an attempt without a claim. After a conflict another turn follows.
// Another error means that memcached does not do what a renewal needs.
func (a *attempt) unclaimed(ctx context.Context, command string, err error) error {
	a.giveBack()
	_ = a.lease.Release()
	if errors.Is(err, memcache.ErrConflict) {
		return errAgain
	}
	return a.leaveMemcached(ctx, a.why, command, err)
}

// leaveMemcached is withoutMemcached for an attempt: it ends that even if it succeeds.
func (a *attempt) leaveMemcached(ctx context.Context, why protocol.Why, command string, cause error) error {
	if err := a.withoutMemcached(ctx, why, command, cause); err != nil {
		return err
	}
	return errDone
}

// errDone ends an attempt that needs no request any more.
var errDone = errors.New("no request is needed")

// write writes the record of what was fetched. If it cannot be written, or if another
// sidecar may have sent a request too, the record is marked, and what was fetched is
// served in doubt.
func (a *attempt) write(got wechat.Credential) {
	there, fetched := a.claimed, a.success(got, a.before.Record, nil, a.number)
	if !a.claims() {
		there = a.before
	}
	for range 4 {
		err := a.slot.PutRecord(there, fetched, a.recordLife(fetched))
		if err == nil {
			a.succeeded(fetched)
			return
		}
		if !errors.Is(err, memcache.ErrConflict) {
			break
		}
		if there, err = a.credential.read(); err != nil {
			break
		}
		if a.claims() {
			if err := a.lease.Verify(); err != nil { // the lease is lost, or may be
				break
			}
		} else if r := there.Record; r != nil && r.Number > a.number && r.Token != "" && r.Token != a.why.Invalid {
			a.succeeded(nil) // another sidecar wrote the same, or a later one
			return
		}
		number := a.number
		if there.Record != nil {
			number = max(number, there.Record.Number+1)
		}
		fetched = a.success(got, a.before.Record, there.Record, number)
	}
	a.unwritten(fetched)
}

// unwritten remembers what was fetched, in doubt, and marks the record as soon as
// possible.
func (a *attempt) unwritten(fetched *memcache.Record) {
	if !a.claims() {
		a.succeeded(fetched) // a poll puts it back
		return
	}
	a.log().Warn("fetched token not written", "event", "token_unwritten", "remedy", "renew once more",
		"token_fingerprint", memcache.Fingerprint(fetched.Token), "hint", "check whether this pod was paused or memcached was restarted")
	now := a.now()
	doubtful := fetched.Clone()
	doubtful.Doubt, doubtful.Claim = now.Wall.Unix(), a.id
	a.mu.Lock()
	a.unsettled = protocol.Unwritten(now)
	a.mu.Unlock()
	a.remember(doubtful)
	a.mark()
}
