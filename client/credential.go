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
}

// newCredential makes one. The caller holds the mu of s.
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
	if kept := c.local.kept.Load(); kept != nil {
		c.observe(SourceLocal)
		return *kept, nil
	}
	token, source, err := c.fetch(ctx)
	if err != nil {
		return "", c.failed("get", err)
	}
	c.observe(source)
	return token, nil
}

func (c *credential) observe(source Source) {
	if observe := c.shared.cfg.Observe; observe != nil {
		observe(Observation{AppID: c.appID, Kind: c.kind, Source: source})
	}
}

// fetch asks memcached, then the sidecar, in the order of the package comment.
func (c *credential) fetch(ctx context.Context) (string, Source, error) {
	if err := c.unusable(); err != nil {
		return "", "", err
	}
	generation := c.local.generation.Load()
	seen, ask := c.health.enter()
	var cause error // why memcached could not be asked
	if ask {
		token, err := c.slot.Get()
		switch {
		case err == nil:
			c.health.leave(seen, nil)
			c.local.keep(generation, token, c.local.life)
			return token, SourceMemcached, nil
		case errors.Is(err, memcache.ErrMiss), errors.Is(err, memcache.ErrDamaged):
			c.health.leave(seen, nil)
		default:
			c.health.leave(seen, err)
			cause = err
		}
	} else {
		cause = seen.cause
	}

	token, err := c.ask(ctx, generation)
	var refusal *Error
	if err == nil || cause == nil || ctx.Err() != nil || errors.As(err, &refusal) || errors.Is(err, ErrClosed) {
		return token, SourceSidecar, err
	}
	if !ask {
		token, again := c.slot.Get()
		if again == nil {
			c.health.leave(seen, nil)
			return token, SourceMemcached, nil
		}
		cause = again
	}
	return "", "", fmt.Errorf("%w; and of memcached: %w", err, cause)
}

// ask asks the sidecar.
func (c *credential) ask(ctx context.Context, generation uint64) (string, error) {
	key := flightKey{credential: c, generation: generation}
	return c.shared.flights.do(ctx, key, func(ctx context.Context) (answer, error) {
		a, err := c.shared.sidecar.get(ctx, c.appID, c.kind)
		if err == nil {
			c.local.keep(generation, a.credential, a.life)
		}
		return a, err
	})
}

// refresh tells the sidecar what WeChat refused. Memcached is not looked at: only
// the sidecar can tell whether what is there is newer than rejected or older.
func (c *credential) refresh(ctx context.Context, rejected string) (string, error) {
	if err := c.unusable(); err != nil {
		return "", c.failed("refresh", err)
	}
	var token string
	var err error
	if rejected == "" {
		token, err = c.ask(ctx, c.local.begin())
	} else {
		token, err = c.shared.flights.do(ctx, flightKey{credential: c, rejected: rejected}, func(ctx context.Context) (answer, error) {
			generation := c.local.begin()
			a, err := c.shared.sidecar.refresh(ctx, c.appID, c.kind, rejected)
			if err == nil {
				c.local.end(generation, a.credential, a.life)
			}
			return a, err
		})
	}
	if err != nil {
		return "", c.failed("refresh", err)
	}
	c.observe(SourceSidecar)
	return token, nil
}

func (c *credential) unusable() error {
	if c.bad != nil {
		return c.bad
	}
	if c.shared.closed.Load() {
		return ErrClosed
	}
	return nil
}

func (c *credential) failed(verb string, err error) error {
	return fmt.Errorf("client: %s %s of %s: %w", verb, c.kind, c.appID, err)
}
