package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// UpstreamAPI is how an upstream's credentials are fetched.
const UpstreamAPI wechat.API = protocol.UpstreamAPI

const (
	// askEvery is the shortest time between two questions of one sidecar without memcached,
	// while it has a valid credential.
	askEvery = 10 * time.Second
	// askAgain is the same while it has none, and for reports to a sidecar that may only read.
	askAgain = time.Second
)

// asksNow reports whether this sidecar asks the upstream after this poll: one of all does so
// in 10 to 15 s. While memcached fails, each asks for itself: that invalidates nothing.
func (c *credential) asksNow() bool {
	if c.Upstream == nil {
		return false
	}
	now := c.now()
	c.mu.Lock()
	can := c.run == nil && c.held.Valid(now) && c.backoff.recent(now.Mono) == nil
	c.mu.Unlock()
	if !can {
		return false
	}
	first, err := c.slot.Mark(memcache.MarkUpstreamPoll, protocol.UpstreamPollLife)
	return first || err != nil
}

// asked reports whether this sidecar asked the upstream less than so long ago. The caller
// holds mu.
func (c *credential) asked(every time.Duration, now protocol.Now) bool {
	return now.Mono.Sub(c.link.asked) < every
}

// ask is a renewal under the lease, if an upstream renews. It needs no claim and no budget.
func (a *attempt) ask(ctx context.Context) error {
	got, err := a.question(ctx)
	if err != nil {
		if refused := a.unreported(err); refused != nil {
			_ = a.lease.Release()
			return refused
		}
		return a.failed(err)
	}
	var news *memcache.Record
	_, err = a.rewrite(a.before, func(_ *memcache.Record, now protocol.Now) *memcache.Record {
		news = a.held.FromUpstream(got, a.Name, now)
		a.noteOwn(news)
		return news
	})
	if err == nil {
		a.mu.Lock()
		a.link.since = time.Time{} // memcached did all that is needed
		a.mu.Unlock()
	} else if news != nil { // a poll puts it back
		a.remember(news)
	}
	a.succeeded(nil)
	if a.why.IsReport() && got.Token == a.why.Invalid { // the upstream says that it is valid
		a.mu.Lock()
		a.held.Reported = ""
		a.mu.Unlock()
		a.markValid()
	}
	if news != nil {
		a.publishRenewed()
	}
	a.confirm()
	_ = a.lease.Release()
	_ = a.slot.ForgetFailures()
	return nil
}

// question asks the upstream, and logs another credential.
func (a *attempt) question(ctx context.Context) (protocol.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLife)
	defer cancel()
	a.noteSent()
	bearer := a.Upstream.Bearer()
	a.mu.Lock()
	a.link.asked, a.link.bearer = a.sent.Mono, bearer
	before := a.held.Last()
	a.mu.Unlock()
	got, err := a.Upstream.Ask(ctx, Question{a.account.AppID, a.kind, a.why.Invalid})
	got.Sent = a.sent
	switch {
	case err != nil:
		return got, err
	case got.Token == before:
		a.count(func(n *Counts) { n.Unchanged++ })
		return got, nil
	}
	a.noteIssued(got.Token)
	a.log().Info("credential received from the upstream", "event", "token_renewed", "expires_in", int(got.Life.Seconds()),
		"token_fingerprint", memcache.Fingerprint(got.Token))
	return got, nil
}

// noteOwn notes that this sidecar received a credential. The caller holds mu.
func (c *credential) noteOwn(r *memcache.Record) {
	if r != nil && (c.held.Record == nil || c.held.Record.Token != r.Token) {
		c.history.own = memcache.Fingerprint(r.Token)
	}
}

// unreported returns the answer to a report that the upstream refuses, such as one that
// comes too soon after another. The credential then counts as valid until the next report,
// and the upstream is asked as before. It returns nil for any other failure.
func (a *attempt) unreported(err error) error {
	var e *wechat.Error
	if !a.why.IsReport() || !errors.As(err, &e) || e.Code != budgetCode && e.Code != readerCode {
		return nil
	}
	a.mu.Lock()
	a.held.Reported, a.reports.owner = "", ""
	a.mu.Unlock()
	refused := asError(e)
	refused.RetryAfter = e.Wait
	return refused
}

// askDirectly asks the upstream although memcached fails: that invalidates nothing.
func (c *credential) askDirectly(ctx context.Context, why protocol.Why, cause error) error {
	now, every := c.now(), askAgain
	c.mu.Lock()
	if c.held.Serves(why, now) {
		every = askEvery
	}
	wait := c.link.asked.Add(every).Sub(now.Mono)
	c.mu.Unlock()
	switch {
	case wait > 0 && every == askEvery:
		return nil
	case pause(ctx, max(0, wait)) != nil:
		return errStopping
	}
	a := &attempt{credential: c, why: why}
	got, err := a.question(ctx)
	if err != nil {
		if refused := a.unreported(err); refused != nil {
			return refused
		}
		c.count(func(n *Counts) { n.failed(asError(err).Code) })
		c.log().Error("renewal without memcached failed", "memcached", cause.Error(), "error", err.Error())
		var e *wechat.Error
		if errors.As(err, &e) {
			every = max(every, e.Wait)
		}
		return &failure{err: err, until: time.Now().Add(every), down: now.Mono}
	}
	now = c.now()
	c.mu.Lock()
	news := c.held.FromUpstream(got, c.Name, now)
	c.noteOwn(news)
	c.mu.Unlock()
	if news != nil {
		c.remember(news)
	}
	a.succeeded(nil)
	return nil
}
