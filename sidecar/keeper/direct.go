package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	// directEvery is how often one sidecar asks WeChat while memcached is down.
	directEvery = 30 * time.Second
	// directPatience is how long memcached must have been down before a token
	// that is live and merely due is renewed without it.
	directPatience = 10 * time.Second
	// reachPatience is how long memcached must have been down before a token is
	// fetched where there is none. A NetworkPolicy lets a new pod through some
	// hundred milliseconds after its start, and a memcached that is applied beside
	// it takes seconds; /startupz gives both ten.
	reachPatience = 5 * time.Second
	// reachEvery is how often it is asked meanwhile.
	reachEvery = 250 * time.Millisecond
)

// worthWaiting reports whether memcached has only begun to fail, and there is no
// token to go on with.
func (c *credential) worthWaiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.downSince.IsZero() {
		c.downSince = time.Now()
	}
	return !c.mem.live(c.Wall) && time.Since(c.downSince) < reachPatience
}

// withoutMemcached goes on while memcached fails, so that nobody knows who else
// may be calling: memory serves while its token lives. Where it does not, or is
// due or rejected, stable_token is asked: it gives every sidecar the same token,
// so that nobody kills anybody's. A ticket that is live and not rejected waits:
// each sidecar would fetch one for itself, and few calls are allowed.
func (c *credential) withoutMemcached(ctx context.Context, rejected string, cause error) error {
	c.mu.Lock()
	if c.downSince.IsZero() {
		c.downSince = time.Now()
	}
	live, down := c.mem.live(c.Wall), time.Since(c.downSince)
	due := live && c.mem.dueIn(c.Wall, c.spread) <= 0
	patience := directPatience
	if live { // once it is dead, there is a reason to ask
		patience = min(patience, c.mem.left(c.Wall)-clockSlack(c.mem.record.Life()))
	}
	wanted := !live || (due && !c.mem.ticket && down >= directPatience) || (rejected != "" && c.mem.record.Token == rejected)
	next := c.direct.Add(directEvery)
	if wanted && time.Until(next) <= 0 {
		c.direct = time.Now()
		next = time.Time{}
	}
	number, began := c.mem.nextNumber(c.Wall), c.Wall()
	c.mu.Unlock()
	fails := &Error{
		Reason: Unavailable, Code: busyCode, Message: fmt.Sprintf("memcached fails: %v", cause),
		Hint: MemcachedHint, RetryAfter: time.Second,
	}
	switch {
	case !wanted && !due:
		return nil
	case !wanted:
		return &failure{err: fails, until: time.Now().Add(patience)}
	case !next.IsZero():
		return &failure{err: fails, until: next}
	}
	if err := c.tokenFirst(ctx); err != nil {
		return err
	}
	request, err := c.request()
	if err != nil {
		return err
	}
	if !c.mem.ticket {
		request.API = wechat.StableToken
	}
	ctx, cancel := context.WithTimeout(ctx, callLife)
	defer cancel()
	c.countCall(false, false)
	got, err := c.WeChat.Fetch(ctx, request)
	if c.refusesToken(err) {
		_ = c.reportToken(ctx, request.Token) // for the next time
	}
	if err != nil {
		c.log().Error("renewal without memcached failed", "memcached", cause.Error(), "error", err.Error())
		f := &failure{err: err, until: time.Now().Add(directEvery)}
		var e *wechat.Error
		if errors.As(err, &e) && e.Class == wechat.Person {
			f.secret = memcache.Fingerprint(request.Secret)
		}
		c.count(func(n *Counts) { n.failed(asError(err).Code) })
		return f
	}
	c.log().Warn("memcached fails: fetched without it", "memcached", cause.Error(), "api", string(request.API),
		"expires_in", int(got.ExpiresIn.Seconds()), "token_fingerprint", memcache.Fingerprint(got.Value),
		"hint", MemcachedHint)
	if !c.adopt(c.record(got, request.API, number, began, nil)) {
		return &failure{err: fails, until: time.Now().Add(directEvery)}
	}
	return nil
}
