package keeper

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// shortestWait is a little longer than memcached keeps a cooldown of one second. A sidecar
// that tries again earlier finds its own cooldown, and waits for the next poll, up to
// 15 s.
const shortestWait = 1100 * time.Millisecond

// failureOf returns a failed request as the protocol sees it.
func (c *credential) failureOf(e *wechat.Error) protocol.Failure {
	return protocol.Failure{
		Class: classOf(e), Wait: e.Wait, Unsent: e.Unsent, Lost: e.MayHaveIssued && c.claims(),
		Local: e.Local() && (e.Unsent || c.Upstream == nil), // an upstream's errcode is the upstream's
	}
}

// failed ends an attempt whose request brought nothing. All sidecars wait, or the others
// take over. If a token may have been issued, the record is marked.
func (a *attempt) failed(err error) error {
	if a.refusesToken(err) {
		if a.mayReport() {
			_ = a.lease.Release()
			return &tokenRefused{err, a.request.Token}
		}
		err = refusedAgain(err)
	}
	var e *wechat.Error
	if !errors.As(err, &e) {
		e = &wechat.Error{Code: busyCode, Message: "unknown failure", Class: wechat.Transient}
	}
	f := a.failureOf(e)
	stopping := errors.Is(err, context.Canceled)
	reported := ""
	if f.Local && a.why.IsReport() && !stopping {
		reported = memcache.Fingerprint(a.why.Invalid)
	}
	a.endClaim(f, reported)
	if stopping {
		if !f.Lost {
			_ = a.lease.Release()
		} // otherwise it expires, and the others wait for as long as the request may last
		return &failure{err: errStopping, until: time.Now().Add(time.Second)}
	}
	retry := a.retry(f)
	a.noteReceived(e)
	failed := &failure{err: err, until: time.Now().Add(max(retry.Own, shortestWait)), local: f.Local, handed: reported}
	cooldown := memcache.Cooldown{Class: string(f.Class), ErrCode: e.Code, Until: a.Wall().Add(retry.All).Unix()}
	if e.Class == wechat.Person && !f.Local {
		failed.secret = a.sentSecret()
		cooldown.Secret = failed.secret
	}
	if retry.All > 0 {
		err := a.lease.CoolDown(cooldown, retry.All) // if not stored, the lease was lost, or expires
		failed.day = err == nil && f.Class == protocol.Day
	} else {
		_ = a.lease.Release()
	}
	a.count(func(n *Counts) { n.failed(e.Code) })
	a.log().Error("renewal failed", "event", "renewal_failed", "errcode", e.Code, "errmsg", e.Message, "class", e.Class.String(),
		"handed_over", retry.All == 0, "retry_in_seconds", math.Ceil(retry.Own.Seconds()), "hint", e.Hint)
	return failed
}

// endClaim takes the claim of a failed request back, or marks the record.
func (a *attempt) endClaim(f protocol.Failure, reported string) {
	if f.Lost {
		a.mu.Lock()
		a.unsettled = protocol.Lost(a.sent)
		a.mu.Unlock()
		a.mark()
		return
	}
	a.takeBack(reported)
	if f.Unsent {
		a.giveBack()
	}
}

// retry decides who tries again, and when.
func (a *attempt) retry(f protocol.Failure) protocol.Retry {
	now := a.now()
	a.mu.Lock()
	streak := a.backoff.streak
	valid := a.held.Valid(now) && !a.held.IsReported()
	entry := time.Duration(0)
	if valid {
		entry = a.held.EntryLeft(now)
		if a.polls.entryEnds.After(now.Mono) {
			entry = a.polls.entryEnds.Sub(now.Mono)
		}
	}
	a.mu.Unlock()
	if !f.Local {
		tries, err := a.slot.CountFailure()
		if err != nil {
			tries = 1
		}
		usual := protocol.Cooldown(f, tries, memcache.LeaseUse, now, a.Rand())
		return protocol.Retry{All: usual, Own: usual}
	}
	ok := true
	if most := protocol.Handovers(f, valid); most > 0 {
		var err error
		if _, ok, err = a.slot.Spend(memcache.MarkHandover, most, protocol.BudgetWindow); err != nil {
			ok = false
		}
	}
	usual := protocol.Cooldown(f, streak+1, memcache.LeaseUse, now, a.Rand())
	return protocol.Yield(f, valid, ok, streak, usual, entry)
}

// leave ends a renewal because all sidecars wait. With a valid token, the next attempt
// comes after the cooldown: otherwise each sidecar would read memcached for each account
// at each poll. If readers wait for a token, the next poll tries again.
func (c *credential) leave(w *memcache.Cooldown, why protocol.Why) error {
	err := c.cooling(w)
	if why.IsReport() || !c.serves(protocol.Why{}) {
		return err
	}
	f := &failure{err: err, until: time.Now().Add(min(err.RetryAfter, protocol.PersonWait) + protocol.PollEvery(c.Rand())), secret: w.Secret}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.backoff.secret != "" {
		f.secret = c.backoff.secret // this sidecar's was refused too
	}
	return f
}

// waitForRebuild makes all sidecars wait until each has put back what it holds, unless
// one of them renews.
func (c *credential) waitForRebuild() {
	lease, err := c.slot.TakeLease()
	if err != nil {
		return
	}
	_ = lease.CoolDown(memcache.Cooldown{
		Class: string(protocol.Rebuilding), ErrCode: busyCode, Until: c.Wall().Add(protocol.Rebuild).Unix(),
	}, protocol.Rebuild)
}

// noSecret returns the failure of a renewal whose AppSecret cannot be read, and logs it
// once.
func (c *credential) noSecret(err error) *failure {
	e := &Error{
		Reason: Unavailable, Code: busyCode, Message: fmt.Sprintf("read AppSecret: %v", err),
		Hint: hint.SecretFile, RetryAfter: protocol.PollEvery(0),
	}
	c.mu.Lock()
	c.counts.failed(e.Code)
	known := c.backoff.err != nil && c.backoff.err.Hint == hint.SecretFile
	c.mu.Unlock()
	if !known { // it is tried again at every poll
		c.log().Error("AppSecret not readable", "error", err.Error(), "hint", e.Hint)
	}
	return &failure{err: e, until: time.Now().Add(protocol.PollEvery(0))}
}

// lastsTooLong reports whether a lease or a cooldown lasts longer than any sidecar writes
// it: it was written by hand, and can be taken over.
func (c *credential) lastsTooLong(seen memcache.LeaseSeen) bool {
	most := awaitLife
	if seen.Cooldown != nil {
		most = cooldownMost(seen.Cooldown)
	}
	now := time.Now()
	c.mu.Lock()
	if !c.link.lease.Same(seen) {
		c.link.lease, c.link.leaseSince = seen, now
	}
	since := c.link.leaseSince
	c.mu.Unlock()
	if (!seen.Held && seen.Cooldown == nil) || now.Sub(since) <= most {
		return false
	}
	c.log().Warn("overlong lease taken over", "hint", "check whether <AppID>:lease was written by hand")
	return true
}

// otherSecret reports whether the cooldown is about another AppSecret than this sidecar's,
// and this one's was not refused too.
func (c *credential) otherSecret(w *memcache.Cooldown) bool {
	if protocol.Class(w.Class) != protocol.Person || w.Secret == "" {
		return false
	}
	own, err := c.ownSecret()
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return own != w.Secret && (own != c.backoff.secret || c.backoff.recent(time.Now()) == nil)
}

// secretChanged reports whether a person has changed the AppSecret that the last renewal
// was refused with.
func (c *credential) secretChanged() bool {
	c.mu.Lock()
	refused := c.backoff.secret
	c.mu.Unlock()
	if refused == "" {
		return false
	}
	own, err := c.ownSecret()
	return err == nil && own != refused
}

// ownSecret returns the fingerprint of the AppSecret, or of the bearer tokens for an upstream.
func (c *credential) ownSecret() (string, error) {
	if c.Upstream != nil {
		return c.Upstream.Bearer(), nil
	}
	secret, err := c.account.Secret()
	return memcache.Fingerprint(secret), err
}

// sentSecret is ownSecret as the request had it.
func (a *attempt) sentSecret() string {
	if a.Upstream == nil {
		return memcache.Fingerprint(a.request.Secret)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.link.bearer
}

// waitForBudget makes all sidecars wait because the budget has no free use.
func (a *attempt) waitForBudget() error {
	e := &Error{Reason: Budget, Code: budgetCode, Message: budgetUsedUp, Hint: a.budgetHint(), RetryAfter: protocol.PersonWait}
	_ = a.lease.CoolDown(memcache.Cooldown{
		Class: string(protocol.OverBudget), ErrCode: e.Code, Until: a.Wall().Add(protocol.PersonWait).Unix(),
	}, protocol.PersonWait)
	a.count(func(n *Counts) { n.failed(e.Code) })
	now := time.Now()
	a.mu.Lock()
	news := now.After(a.link.refused)
	if news { // reports go on during the wait, and the cooldown can be deleted
		a.link.refused = now.Add(protocol.PersonWait)
	}
	a.mu.Unlock()
	if news {
		a.log().Error("renewal refused by the budget", "hint", e.Hint)
	}
	return &failure{err: e, until: now.Add(protocol.PersonWait)}
}
