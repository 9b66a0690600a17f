package keeper

import (
	"context"
	"fmt"
	"sync"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
)

// credential is one credential: an account's token, or one of its tickets.
type credential struct {
	settings

	mu        sync.Mutex // guards the fields below; never held over I/O or a callback
	held      protocol.Held
	unsettled protocol.Unsettled // the doubt that this sidecar still has to write
	reports   reports
	backoff   backoff
	polls     polls
	link      link
	run       *run // the renewal that runs or is queued; nil if there is none
	alarm     alarm
	history   history
	counts    Counts
}

// newCredential returns a credential before its first poll.
func (g *Group) newCredential(account Account, kind memcache.Kind) (*credential, error) {
	slot, err := g.cfg.Store.Slot(account.AppID, kind)
	if err != nil {
		return nil, err
	}
	c := &credential{settings: settings{
		Config: &g.cfg, group: g, account: account, kind: kind, api: g.cfg.API, slot: slot, spread: g.cfg.Rand(),
	}}
	if kind != memcache.AccessToken {
		api, ok := ticketAPIs[kind]
		if !ok {
			return nil, fmt.Errorf("unknown kind of ticket %q; use jsapi_ticket or wx_card_ticket", kind)
		}
		c.api, c.held.Ticket = api, true
	}
	if c.Upstream != nil {
		c.api, c.held.Upstream, c.account.Secret = UpstreamAPI, true, nil
	}
	c.alarm.ring = c.wake
	return c, nil
}

// token returns the valid credential at once if there is one. Otherwise it waits for
// the renewal that runs, or starts one. It fails with that renewal's error, or with
// Unavailable when ctx ends or after MaxWait.
func (c *credential) token(ctx context.Context) (Grant, error) {
	c.pollOnRead(ctx)
	grant, r, err := c.ready()
	if r == nil {
		return grant, err
	}
	ctx, cancel := context.WithTimeout(ctx, MaxWait) // only a caller that waits needs a timer
	defer cancel()
	for ; r != nil; grant, r, err = c.ready() {
		if err = r.wait(ctx); err == nil {
			err = r.err
		}
		grant, ok := c.grant()
		switch {
		case ok: // perhaps a reported one, if the renewal failed
			grant.Waited = true
			return grant, nil
		case err != nil:
			return Grant{}, asError(err)
		}
	}
	return grant, err
}

// ready returns what can be answered at once: a credential, or why there is none.
// Otherwise it returns the renewal to wait for.
func (c *credential) ready() (Grant, *run, error) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	grant, ok := c.grantAt(now)
	if ok && (c.run == nil || !c.held.IsReported()) {
		return grant, nil, nil
	}
	if err := c.backoff.recent(now.Mono); err != nil && !ok {
		return Grant{}, nil, err
	}
	r := c.run
	if r == nil {
		r = c.start(protocol.Why{})
	}
	if r == nil {
		return Grant{}, nil, errStopping
	}
	return Grant{}, r, nil
}

// refresh returns a credential newer than the rejected one: the current one at once if
// it is known to have replaced that. Otherwise the rejected one can be newer than the
// current one, because another sidecar has renewed since the last poll. So the renewal
// reads the record first, and sends a request only for the current credential.
func (c *credential) refresh(ctx context.Context, rejected string) (Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, MaxWait)
	defer cancel()
	if c.ReadOnly {
		return c.refreshAsReader(ctx, rejected)
	}
	if err := c.delayNewer(rejected); err != nil {
		return Grant{}, err
	}
	for current := false; ; current = true {
		grant, r, wasValid := c.replacement(rejected, current)
		if r == nil && grant.Value == "" {
			return Grant{}, errStopping
		}
		if r == nil {
			return grant, nil
		}
		if err := r.wait(ctx); err != nil {
			return Grant{}, err
		}
		if r.why.Invalid != rejected && wasValid {
			continue // that renewal was for another token, but has read the record
		}
		grant, ok := c.grant()
		grant.Waited = true
		switch {
		case ok && grant.Value != rejected:
			return grant, nil
		case r.err != nil:
			return Grant{}, asError(r.err)
		}
		return Grant{}, errStillValid
	}
}

// refreshAsReader returns the upstream's current credential if that is another than the
// rejected one: this sidecar may not report it.
func (c *credential) refreshAsReader(ctx context.Context, rejected string) (Grant, error) {
	now := c.now()
	c.mu.Lock()
	grant, ok := c.grantAt(now)
	known := ok && grant.Value != rejected && c.held.Record.Knows(rejected)
	r := c.run
	if r == nil && !known && !c.asked(askAgain, now) {
		r = c.start(protocol.Why{Ask: true})
	}
	c.mu.Unlock()
	if known {
		return grant, nil
	}
	if r != nil {
		if err := r.wait(ctx); err != nil {
			return Grant{}, err
		}
	}
	grant, err := c.token(ctx)
	switch {
	case err != nil || grant.Value != rejected:
		return grant, err
	case r != nil && r.err != nil: // the upstream did not say whether it has another one
		return Grant{}, asError(r.err)
	}
	return Grant{}, errReadOnly
}

// replacement returns the credential that replaced rejected, or the renewal to wait
// for, or neither if the sidecar is stopping. current is true if the record has just
// been read. The last result reports whether a valid credential is held.
func (c *credential) replacement(rejected string, current bool) (Grant, *run, bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	grant, ok := c.grantAt(now)
	if ok && grant.Value != rejected && (current || c.held.Record.Knows(rejected)) {
		return grant, nil, true
	}
	if c.run == nil {
		return Grant{}, c.start(protocol.Why{Invalid: rejected}), ok
	}
	return Grant{}, c.run, ok
}

// close stops the alarm. A renewal that runs can finish.
func (c *credential) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarm.stop()
}
