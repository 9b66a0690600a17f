package keeper

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// failure is a renewal that failed here: not before until is there any use in
// another.
type failure struct {
	err    error
	until  time.Time
	secret string // fingerprint of the AppSecret, where a person must see to it
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// shortestWait is a little longer than memcached keeps what was written for one
// second: whoever tries again before meets his own wait, and then leaves it to
// the next look, 15 s later.
const shortestWait = 1100 * time.Millisecond

// failed makes the fleet wait after a call that failed. Where a token may have
// been issued, it also marks the doubt, and nobody calls for as long as the
// lease would have lived: the request may still be on its way.
func (c *credential) failed(lease *memcache.Lease, err error, tries int, secret string) error {
	var e *wechat.Error
	if !errors.As(err, &e) {
		e = &wechat.Error{Code: busyCode, Message: "unknown failure", Class: wechat.Transient}
	}
	wait := waitFor(e, tries, c.Wall(), c.Rand())
	if e.MayHaveIssued && c.api == wechat.Token {
		wait = max(wait, memcache.LeaseUse+time.Second)
		c.doubt(c.Wall().Add(doubtDelay), nil)
	}
	if errors.Is(err, context.Canceled) { // this sidecar is stopping
		if !e.MayHaveIssued {
			_ = lease.Release()
		} // else it lapses by itself, and others wait for as long as the call may last
		return &failure{err: errStopping, until: time.Now().Add(wait)}
	}
	f := &failure{err: err, until: time.Now().Add(max(wait, shortestWait))}
	w := memcache.Cooldown{Class: e.Class.String(), ErrCode: e.Code, ErrMsg: e.Message, Until: c.Wall().Add(wait).Unix()}
	if e.Class == wechat.Person {
		f.secret, w.Secret = secret, secret
	}
	_ = lease.CoolDown(w, wait) // not stored: it was lost, or lapses by itself
	c.mu.Lock()
	c.counts.failed(e.Code)
	c.mu.Unlock()
	c.log().Error("renewal failed", "errcode", e.Code, "errmsg", e.Message, "class", e.Class.String(),
		"retry_in_seconds", math.Ceil(wait.Seconds()), "hint", e.Hint)
	return f
}

// leave leaves a fleet that waits alone: with a live token until the wait is over,
// so that a fleet with an outage does not ask memcached for every account at every
// look. Where readers wait for one, the next look asks again.
func (c *credential) leave(w *memcache.Cooldown, rejected string) error {
	err := c.waiting(w)
	if rejected != "" || !c.serves("") {
		return err
	}
	f := &failure{err: err, until: time.Now().Add(min(err.RetryAfter, personWait) + lookEvery(c.Rand())), secret: w.Secret}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusal.secret != "" {
		f.secret = c.refusal.secret // ours was refused too
	}
	return f
}

// waitBudget makes the fleet wait because ten calls of the last ten minutes did
// not help, or were too many.
func (c *credential) waitBudget(lease *memcache.Lease) error {
	e := &Error{
		Reason: Budget, Code: budgetCode, Message: "10 calls to WeChat in the last 10 minutes: no further one now",
		Hint: c.budgetHint(), RetryAfter: personWait,
	}
	_ = lease.CoolDown(memcache.Cooldown{Class: budgetClass, ErrCode: e.Code, ErrMsg: e.Message, Until: c.Wall().Add(personWait).Unix()}, personWait)
	c.count(func(n *Counts) { n.failed(e.Code) })
	c.log().Error("renewal refused by the budget", "hint", e.Hint)
	return &failure{err: e, until: time.Now().Add(personWait)}
}

// budgetHint is what to do where ten calls did not help, or were too many.
func (c *credential) budgetHint() string {
	if c.mem.ticket {
		return TicketHint
	}
	return strangerHint
}

// noSecret is a renewal that failed before any call.
func (c *credential) noSecret(err error) *failure {
	e := &Error{
		Reason: Unavailable, Code: busyCode, Message: fmt.Sprintf("read AppSecret: %v", err),
		Hint: "check WECHAT_APPSECRET_FILE or the file of this account in WECHAT_ACCOUNTS_DIR", RetryAfter: lookEvery(0),
	}
	c.mu.Lock()
	c.counts.failed(e.Code)
	told := c.refusal.err != nil && c.refusal.err.Message == e.Message
	c.mu.Unlock()
	if !told { // tried again at every look: one line is enough
		c.log().Error("renewal failed: no AppSecret", "error", err.Error(), "hint", e.Hint)
	}
	return &failure{err: e, until: time.Now().Add(lookEvery(0))}
}
