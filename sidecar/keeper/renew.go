package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
)

// renew renews the credential: it adopts what another sidecar fetched, or sends one
// request to WeChat.
func (c *credential) renew(ctx context.Context, why protocol.Why) error {
	v := &visit{credential: c, why: why, start: time.Now()}
	for {
		lease, err := v.enter(ctx)
		if lease != nil {
			err = c.renewUnder(ctx, lease, v.why)
		}
		var refused *tokenRefused
		if errors.As(err, &refused) {
			if err = c.reportToken(ctx, refused.token); err == nil {
				continue
			}
		}
		if errors.Is(err, errDone) {
			return nil
		}
		if !v.again(err) {
			return err
		}
		if err := v.pause(ctx); err != nil {
			return err
		}
	}
}

// renewUnder is a renewal under the lease. The numbers are those of the package
// comment.
func (c *credential) renewUnder(ctx context.Context, lease *memcache.Lease, why protocol.Why) error {
	a := &attempt{credential: c, lease: lease, why: why}
	c.failpoint("lease")
	if done, err := a.read(ctx); done { // 2. has another sidecar renewed?
		return err
	}
	if c.Upstream != nil {
		return a.ask(ctx)
	}
	c.failpoint("read_again")
	if err := a.spend(ctx); err != nil { // 3. is a request allowed?
		return err
	}
	if err := a.claim(ctx); err != nil { // 4. a doubt, before anything is sent
		return err
	}
	c.failpoint("request")
	got, err := a.send(ctx) // 5. one request
	if err != nil {
		return a.failed(err) // 6. all sidecars wait, or another one takes over
	}
	c.failpoint("answer")
	a.write(got) // 7. the record by compare-and-swap, then the entry
	c.failpoint("record")
	c.publishRenewed()
	c.failpoint("entry")
	_ = a.lease.Release()
	_ = c.slot.ForgetFailures()
	return nil
}

// errAgain means that another turn is needed: another sidecar was faster.
var errAgain = errors.New("another turn is needed")

// errRenewalInProgress means that another sidecar renews, and that there is a token
// meanwhile.
var errRenewalInProgress = errors.New("another sidecar is renewing")

// awaitLife is how long a renewal waits for another sidecar's: more than a lease lives.
const awaitLife = 16 * time.Second

// handedLife is how long a renewal waits for the sidecars that it was handed over to: with the
// last pause less than MaxWait, so that the callers learn why this sidecar handed it over.
const handedLife = MaxWait - 3*time.Second

// visit is one renewal until it has the lease: turn by turn, each after a pause.
type visit struct {
	*credential
	why       protocol.Why
	start     time.Time
	soon      time.Duration // the next pause; 0 for the usual one
	owns      bool          // this sidecar must renew the reported token
	unchecked bool          // it must check that token first
	throttle  string        // the word of the mark report_throttle
	handed    *failure      // why this sidecar handed the report over; it waits for another
	contended bool          // another sidecar had the lease
	turns     int           // lost attempts to take the lease
}

// again reports whether another turn is needed.
func (v *visit) again(err error) bool {
	var failed *failure
	handed := errors.As(err, &failed) && failed.handed != ""
	if handed {
		v.mu.Lock()
		v.backoff.set(failed, time.Now())
		v.mu.Unlock()
		v.why.Proven = true
	}
	if errors.Is(err, errSoon) {
		v.soon = reachEvery
	}
	return handed || v.soon > 0 || errors.Is(err, errAgain)
}

// pause waits for the next turn. It returns an error if there is none.
func (v *visit) pause(ctx context.Context) error {
	waited := time.Since(v.start)
	wait := protocol.AwaitEvery(v.Rand(), waited)
	switch {
	case v.soon > 0:
		wait, v.soon = v.soon, 0
	case v.handed != nil && waited > handedLife:
		return v.handed
	case waited > awaitLife:
		return errAwaited
	}
	if pause(ctx, wait) != nil {
		return errStopping
	}
	return nil
}

// errAwaited is the answer if the renewal of another sidecar does not end.
var errAwaited = &Error{
	Reason: Unavailable, Code: busyCode, Message: "another sidecar is renewing and did not finish",
	Hint: hint.OtherSidecars, RetryAfter: time.Second,
}

// enter reads record and lease, and takes the lease if a request is needed and allowed.
// It returns neither lease nor error if no renewal is needed any more.
func (v *visit) enter(ctx context.Context) (*memcache.Lease, error) {
	c := v.credential
	seen, err := c.read()
	if err != nil {
		return nil, c.withoutMemcached(ctx, v.why, "get", err)
	}
	v.soon = min(c.rest(v.why), reachEvery)
	switch {
	case !c.wants(v.why):
		c.confirm()
		return nil, nil //nolint:nilnil // see above
	case v.soon > 0: // WeChat has no other ticket yet
		return nil, errAgain
	case seen.Record == nil && !v.why.IsReport() && c.rebuild() && c.Upstream == nil:
		return nil, errRenewalInProgress
	}
	held, err := c.slot.Lease()
	if err != nil {
		return nil, c.withoutMemcached(ctx, v.why, "get", err)
	}
	tooLong := c.lastsTooLong(held)
	switch {
	case tooLong, held.Cooldown == nil, c.otherSecret(held.Cooldown):
	case protocol.Class(held.Cooldown.Class) != protocol.Rebuilding:
		return nil, c.leave(held.Cooldown, v.why)
	case c.serves(v.why):
		return nil, errRenewalInProgress
	}
	if v.yields() {
		return nil, errAgain
	}
	if err := v.own(ctx); err != nil {
		return nil, err
	}
	switch {
	case held.Held && !tooLong:
		return nil, v.waitForHolder()
	case !v.owns:
		return nil, v.waitForOwner()
	case v.unchecked && !v.mayCheck():
		return nil, errThrottled
	case v.unchecked && v.isStillValid(ctx):
		return nil, errStillValid
	}
	if err := c.tokenFirst(ctx); err != nil {
		return nil, err
	}
	return v.take(ctx, held, tooLong || held.Cooldown != nil)
}

// yields reports whether the others renew the reported token, because this sidecar handed
// that over and its wait after the failure goes on. Otherwise each report to it would use
// up a handover, and it would often be the first to try after a cooldown. See
// sidecar/keeper/testdata/stories/handed_over.txt.
func (v *visit) yields() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.handed = nil
	if f := v.backoff.handed; f != nil && f.handed == memcache.Fingerprint(v.why.Invalid) && time.Now().Before(f.until) {
		v.handed, v.why.Proven = f, true
	}
	return v.handed != nil
}

// takesOver reports whether another sidecar handed this report over, and this one has not
// failed itself lately. The caller holds mu.
func (v *visit) takesOver() bool {
	return v.held.IsHandedOver() && v.held.Record.Token == v.why.Invalid && !time.Now().Before(v.backoff.own)
}

// waitForHolder returns how to continue while another sidecar holds the lease.
func (v *visit) waitForHolder() error {
	if !v.contended {
		v.contended = true
		v.count(func(n *Counts) { n.Contended++ })
	}
	if v.serves(v.why) {
		return errRenewalInProgress
	}
	return errAgain
}

// own decides whether this sidecar must renew: always if the credential is due, and
// after a report if this sidecar was the first to get one.
func (v *visit) own(ctx context.Context) error {
	v.mu.Lock()
	v.why.Proven = v.why.Proven || v.takesOver()
	v.mu.Unlock()
	if v.owns = v.owns || !v.why.IsReport() || v.why.Proven || v.renewsReported(v.why.Invalid); v.owns {
		if v.why.Proven {
			v.report(v.why.Invalid, false)
		}
		return nil
	}
	word, first, err := v.slot.MarkWith(memcache.MarkReportThrottle, memcache.Fingerprint(v.why.Invalid), protocol.ThrottleLife)
	if err != nil {
		return v.withoutMemcached(ctx, v.why, "add", err)
	}
	v.throttle, v.owns = word, first
	v.unchecked = first && v.needsCheck()
	if first && !v.unchecked {
		v.report(v.why.Invalid, true)
	}
	return nil
}

// waitForOwner returns how a report continues that another sidecar owns, which has not
// taken the lease.
func (v *visit) waitForOwner() error {
	reported := memcache.Fingerprint(v.why.Invalid)
	v.mu.Lock()
	waited := v.reports.waited(reported, time.Now())
	v.mu.Unlock()
	switch protocol.Throttled(v.throttle, reported, waited) {
	case protocol.TooSoon:
		return errThrottled
	case protocol.StillValid:
		return errStillValid
	case protocol.AwaitOwner:
	}
	return errAgain
}

// needsCheck notes an app's report for all sidecars, and reports whether the token must
// be checked before the renewal. If memcached fails, it does not know, and renews.
func (v *visit) needsCheck() bool {
	if v.Upstream != nil || !v.why.IsAppsWord(v.isTicket()) { // only the upstream checks
		return false
	}
	before, err := v.slot.Remark(memcache.MarkRecentReport, memcache.Fingerprint(v.why.Invalid), protocol.ReportWindow)
	return err == nil && v.why.NeedsCheck(v.isTicket(), before)
}

// isStillValid checks the reported token with one request to WeChat. If it is valid, all
// sidecars answer so to reports until the mark ends. Otherwise the report counts.
func (v *visit) isStillValid(ctx context.Context) bool {
	v.unchecked = false
	ctx, cancel := context.WithTimeout(ctx, protocol.CheckLife)
	defer cancel()
	err := v.WeChat.Check(ctx, v.account.AppID, v.why.Invalid)
	v.count(func(n *Counts) { n.Checks.add(err) })
	if err != nil {
		v.report(v.why.Invalid, true)
		return false
	}
	v.markValid()
	v.log().Warn("reported token is still valid", "token_fingerprint", memcache.Fingerprint(v.why.Invalid), "hint", hint.StillValid)
	return true
}

// take takes the lease.
func (v *visit) take(ctx context.Context, held memcache.LeaseSeen, takeOver bool) (*memcache.Lease, error) {
	v.failpoint("before_lease")
	command, take := "add", v.slot.TakeLease
	if takeOver {
		command, take = "cas", func() (*memcache.Lease, error) { return v.slot.TakeOver(held) }
	}
	lease, err := take()
	switch {
	case errors.Is(err, memcache.ErrHeld) && v.turns > 0 && v.serves(v.why):
		return nil, errRenewalInProgress
	case errors.Is(err, memcache.ErrHeld):
		v.turns++
		return nil, errAgain
	case err != nil:
		return nil, v.withoutMemcached(ctx, v.why, command, err)
	}
	return lease, nil
}
