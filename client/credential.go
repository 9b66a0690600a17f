package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// credential is one credential of one account.
type credential struct {
	shared *shared
	appID  string
	kind   memcache.Kind
	slot   *memcache.Slot
	health *health // of the slot's server
	bad    error   // why there is no slot
	local  local
	reports
}

// newCredential returns a credential. The caller holds s.mu.
func newCredential(s *shared, appID string, kind memcache.Kind) *credential {
	c := &credential{shared: s, appID: appID, kind: kind}
	if c.slot, c.bad = s.store.Slot(appID, kind); c.bad == nil {
		c.health = s.healthOf(c.slot.Server())
	}
	if kind == memcache.AccessToken {
		c.local.life = s.cfg.Local
	}
	return c
}

func (c *credential) get(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", c.failed("get", err)
	}
	if held := c.local.held.Load(); held != nil {
		c.observe(SourceLocal)
		return *held, nil
	}
	token, source, err := c.read(ctx)
	if err != nil {
		return "", c.failed("get", err)
	}
	c.observe(source)
	return token, nil
}

// read asks memcached, then the sidecar, in the order of the package comment.
func (c *credential) read(ctx context.Context) (string, Source, error) {
	if err := c.usable(); err != nil {
		return "", "", err
	}
	generation := c.local.generation.Load()
	seen, ask := c.health.enter()
	var failure error // of memcached
	if ask {
		token, source, err := c.stored(ctx)
		switch {
		case err == nil:
			c.health.leave(seen, nil)
			if c.underReport(token) == nil { // else the next read asks memcached again
				c.local.store(generation, token, c.local.life)
			}
			return token, source, nil
		case errors.Is(err, memcache.ErrMiss), errors.Is(err, memcache.ErrDamaged):
			c.health.leave(seen, nil)
		default:
			if c.health.leave(seen, err) {
				c.warnOfRefusal(ctx, err)
			}
			failure = err
		}
	} else {
		failure = seen.cause
	}

	token, err := c.ask(ctx, generation)
	if err == nil && c.underReport(token) != nil { // a sidecar that does not own the report still gives it
		if other, source, failed := c.joined(ctx, token); failed == nil {
			return other, source, nil
		}
	}
	var refusal *Error
	if err == nil || failure == nil || ctx.Err() != nil || errors.As(err, &refusal) || errors.Is(err, ErrClosed) {
		return token, SourceSidecar, err
	}
	if !ask { // within a pause
		token, again := c.slot.Get()
		if again == nil {
			c.health.leave(seen, nil)
			return token, SourceMemcached, nil
		}
		failure = again
	}
	return "", "", fmt.Errorf("%w; and memcached: %w", err, failure)
}

// ask requests the credential from the sidecar.
func (c *credential) ask(ctx context.Context, generation uint64) (string, error) {
	key := requestKey{credential: c, generation: generation}
	return c.shared.requests.share(ctx, key, func(ctx context.Context) (answer, error) {
		a, err := c.shared.sidecar.get(ctx, c.appID, c.kind)
		if err == nil && c.underReport(a.credential) == nil {
			c.local.store(generation, a.credential, a.life)
		}
		return a, err
	})
}

func (c *credential) observe(source Source) {
	if observe := c.shared.cfg.Observe; observe != nil {
		observe(Observation{AppID: c.appID, Kind: c.kind, Source: source})
	}
}

// usable returns why the credential cannot be requested, or nil.
func (c *credential) usable() error {
	if c.bad == nil && c.shared.closed.Load() {
		return ErrClosed
	}
	return c.bad
}

func (c *credential) failed(verb string, err error) error {
	return fmt.Errorf("client: %s %s of %s: %w", verb, c.kind, c.appID, err)
}
