package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	// directEvery is the shortest time between two requests of one sidecar to WeChat
	// without memcached.
	directEvery = 30 * time.Second
	// directPatience is how long memcached must have failed before a token that is due
	// but valid is renewed without it.
	directPatience = 10 * time.Second
	// reachPatience is how long memcached must have failed before a token is fetched if
	// there is none. A NetworkPolicy admits a new pod some hundred milliseconds after its
	// start, and a memcached that is applied with it takes seconds. /startupz waits ten
	// seconds for both.
	reachPatience = 5 * time.Second
	// reachEvery is how often the sidecar tries to reach memcached meanwhile.
	reachEvery = 250 * time.Millisecond
	// claimEvery is how often a sidecar without a valid token tries whether memcached serves a
	// renewal again. Its polls can be answered when a single command of a renewal timed out.
	claimEvery = time.Second
	// linkForgets is how long after the last failure a new one counts as a new outage.
	linkForgets = time.Minute
)

// link is what this sidecar knows of memcached's fitness for renewals: a memcached that
// answers polls but refuses a command of a renewal counts as failed. The credential's mu
// guards it.
type link struct {
	since, last time.Time // of the failures since a claim was last written; zero: none
	warned      bool
	next        time.Time // when WeChat can be asked without a lease
	spent       protocol.Spent
	refused     time.Time // until when a refusal by the budget is logged already
	lease       memcache.LeaseSeen
	leaseSince  time.Time // when this lease was first seen
	back        time.Time // when memcached last answered again after polls had failed
	asked       time.Time // when the upstream was last asked
	bearer      string    // the fingerprint of the bearer tokens of that question
	unstored    *unstored // nil: memcached has stored the last write
}

// noteFailure notes a failure, and returns for how long memcached has failed.
func (l *link) noteFailure(now time.Time) time.Duration {
	if l.since.IsZero() || now.Sub(l.last) > linkForgets {
		l.since, l.warned = now, false
	}
	l.last = now
	return now.Sub(l.since)
}

// memcachedServes notes that memcached did all that a renewal needs.
func (c *credential) memcachedServes() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link.since = time.Time{}
}

// errSoon means that memcached has just begun to fail, and that there is no valid token:
// the renewal tries again soon.
var errSoon = errors.New("memcached has begun to fail")

// withoutMemcached continues a renewal if memcached does not do what that needs: no
// sidecar knows whether another one renews. A held token is served while it is valid. If
// it is not, or is due or reported, the sidecar requests a stable_token: that is the same
// for every sidecar, so no request invalidates another's token. A ticket that is valid
// and not reported waits: each sidecar would fetch one, and few requests are allowed.
// command is the command that failed.
func (c *credential) withoutMemcached(ctx context.Context, why protocol.Why, command string, cause error) error {
	if c.Upstream != nil {
		c.noteCommand(command, cause)
		return c.askDirectly(ctx, why, cause)
	}
	direct, err := c.mayAskDirectly(why, command, cause)
	if !direct {
		return err
	}
	if err := c.tokenFirst(ctx); err != nil {
		return err
	}
	a := &attempt{credential: c, why: why}
	a.noteSent()
	if a.request, err = c.newRequest(); err != nil {
		return err
	}
	if !c.isTicket() {
		a.request.API = wechat.StableToken
	}
	c.mu.Lock()
	a.number = c.held.NextNumber(a.sent)
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, requestLife)
	defer cancel()
	got, err := c.WeChat.Fetch(ctx, a.request)
	c.countRequest(err, false)
	if c.refusesToken(err) {
		_ = c.reportToken(ctx, a.request.Token) // for the next time
	}
	if err != nil {
		c.log().Error("renewal without memcached failed", "memcached", cause.Error(), "error", err.Error())
		f := &failure{err: err, until: time.Now().Add(directEvery), down: a.sent.Mono}
		var e *wechat.Error
		if errors.As(err, &e) && e.Class == wechat.Person && !e.Local() {
			f.secret = memcache.Fingerprint(a.request.Secret)
		}
		c.count(func(n *Counts) { n.failed(asError(err).Code) })
		return f
	}
	c.noteIssued(got.Value)
	c.log().Warn("token fetched without memcached", "event", "token_direct", "memcached", cause.Error(), "api", string(a.request.API),
		"expires_in", int(got.ExpiresIn.Seconds()), "token_fingerprint", memcache.Fingerprint(got.Value), "hint", hint.Memcached(cause))
	if got.ExpiresIn < directEvery && c.isTicket() { // WeChat has another one only after its end
		c.mu.Lock()
		c.link.next = a.sent.Mono.Add(protocol.AgainAfter(got.ExpiresIn, true, 0))
		c.mu.Unlock()
	}
	fetched := a.success(got, nil, nil, a.number)
	fetched.Doubt, fetched.Claim = 0, ""
	a.succeeded(fetched)
	if _, ok := c.grant(); !ok {
		return &failure{err: c.memcachedError(cause), until: time.Now().Add(directEvery), down: a.sent.Mono}
	}
	return nil
}

// mayAskDirectly decides whether a request is sent without memcached. If not, it returns
// the error that ends the renewal, or nil if the held token serves.
func (c *credential) mayAskDirectly(why protocol.Why, command string, cause error) (bool, error) {
	failing, now := c.noteCommand(command, cause), c.now()
	c.mu.Lock()
	valid := c.held.Valid(now)
	due := valid && c.held.DueIn(now, c.spread) <= 0
	reported := valid && why.IsReport() && c.held.Record.Token == why.Invalid
	patience := directPatience
	if valid { // once it has expired, there is a reason to ask
		patience = min(patience, c.held.Left(now)-protocol.Slack(c.held.Record.Life()))
	}
	if !valid && failing < reachPatience {
		c.mu.Unlock()
		return false, errSoon
	}
	wanted := !valid || reported || (due && !c.held.Ticket && failing >= directPatience)
	next := c.link.next
	direct := wanted && !now.Mono.Before(next)
	if direct {
		c.link.next = now.Mono.Add(directEvery)
	}
	c.mu.Unlock()
	fails := c.memcachedError(cause)
	switch {
	case direct:
		return true, nil
	case !wanted && !due:
		return false, nil
	case !wanted:
		return false, &failure{err: fails, until: now.Mono.Add(patience), down: now.Mono}
	case !valid && next.Sub(now.Mono) > claimEvery:
		next = now.Mono.Add(claimEvery)
	}
	return false, &failure{err: fails, until: next, down: now.Mono}
}

// noteCommand notes that memcached failed a command that a renewal needs, and warns once if
// polls succeed. It returns for how long memcached has failed.
func (c *credential) noteCommand(command string, cause error) time.Duration {
	now := time.Now()
	c.mu.Lock()
	failing := c.link.noteFailure(now)
	c.link.unstored = &unstored{cause, now}
	warn := !c.link.warned && c.polls.downSince.IsZero() && failing > 0
	c.link.warned = c.link.warned || warn
	c.mu.Unlock()
	if warn {
		c.log().Warn("memcached command failed", "command", command, "error", cause.Error(), "hint", hint.Memcached(cause))
	}
	return failing
}

// memcachedError returns the answer to callers while memcached fails.
func (c *credential) memcachedError(cause error) *Error {
	return &Error{
		Reason: Unavailable, Code: busyCode, Message: fmt.Sprintf("memcached failed: %v", cause),
		Hint: hint.Memcached(cause), RetryAfter: time.Second,
	}
}
