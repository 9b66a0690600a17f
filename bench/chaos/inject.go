package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/memcache"
)

// row is a fault that was injected: a row of the report.
type row struct {
	fault
	span
	undone, healedAt time.Duration
	notHealed        error
	// lostAnswer means that an answer of WeChat's was lost. So the next request issues
	// the second token in a row, which invalidates the apps' token without a grace,
	// until memcached has the new token and the sidecar that an app asks has polled.
	lostAnswer bool
}

const (
	// restAtLeast is the least time between the end of a fault and the next fault.
	restAtLeast = 4 * time.Second
	// healWithin is the longest time that healing can take: the doubt, and a request.
	healWithin = doubtAtMost + 15*time.Second
)

// addRow begins a row.
func (h *harness) addRow(f fault) *row {
	r := &row{fault: f, span: span{from: h.now()}}
	h.rows = append(h.rows, r)
	return r
}

// inject injects a fault, undoes it, and waits until all has healed.
func (h *harness) inject(ctx context.Context, f fault) error {
	h.say("== %s", f.name)
	if f.ownRows {
		return f.run(ctx, h, f.hold)
	}
	r := h.addRow(f)
	if err := f.run(ctx, h, f.hold); err != nil {
		return err
	}
	r.undone = h.now()
	return h.awaitHealing(ctx, r)
}

// awaitHealing waits until entries and sidecars are healthy, and until every sidecar
// remembers the entries' tokens, which it learns by a poll. It ends the rows. If
// something does not heal, the first row says so.
func (h *harness) awaitHealing(ctx context.Context, rows ...*row) error {
	r := rows[0]
	err := await(ctx, healWithin, 50*time.Millisecond, func(ctx context.Context) error {
		if err := h.unhealthy(ctx); err != nil || r.healed == nil {
			return err
		}
		return r.healed(h)
	})
	if len(r.accounts) == 0 {
		r.healedAt = h.now()
		h.say("   undone at %.2f s, healed after %.2f s", r.undone.Seconds(), (r.healedAt - r.undone).Seconds())
	}
	if err == nil {
		err = await(ctx, 2*pollAtMost, 250*time.Millisecond, func(ctx context.Context) error { return h.outdated(ctx, time.Now()) })
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r.notHealed = cmp.Or(r.notHealed, err); err != nil {
		h.say("   NOT HEALED: %s", err)
	}
	err = program.Sleep(ctx, restAtLeast-(h.now()-r.undone))
	for _, r := range rows {
		r.to = h.now()
	}
	return err
}

// unhealthy returns what is wrong with an entry or a sidecar; nil means nothing.
func (h *harness) unhealthy(ctx context.Context) error {
	for _, account := range h.accounts {
		if _, err := h.wechat.healthy(account, h.watch.entry(account)); err != nil {
			return err
		}
	}
	for _, p := range h.pods {
		if _, err := p.ops(ctx, "/readyz"); err != nil {
			return fmt.Errorf("sidecar %d is not ready", p.number)
		}
	}
	return nil
}

// outdated returns an error if a sidecar does not remember an entry's token, although
// the token is older than a poll, or remembers none.
func (h *harness) outdated(ctx context.Context, now time.Time) error {
	for _, p := range h.pods {
		remembered, err := p.fingerprints(ctx)
		if err != nil {
			return fmt.Errorf("sidecar %d: %w", p.number, err)
		}
		for _, account := range h.accounts {
			entry := h.watch.entry(account)
			issue, _ := h.wechat.healthy(account, entry)
			fp := remembered[account]
			if fp != memcache.Fingerprint(entry) && (fp == "" || now.Sub(issue.At) > pollAtMost) {
				return fmt.Errorf("sidecar %d: %s: remembers %q, not the entry's token", p.number, account, fp)
			}
		}
	}
	return nil
}

// awaitTokens waits until the accounts' entries are healthy, with tokens that were
// issued at since or later.
func (h *harness) awaitTokens(ctx context.Context, since time.Duration, accounts ...string) error {
	for _, account := range accounts {
		err := await(ctx, healWithin, 20*time.Millisecond, func(context.Context) error {
			held, err := h.wechat.healthy(account, h.watch.entry(account))
			if err == nil && h.at(held.At) < since {
				err = fmt.Errorf("%s: no new token", account)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// accountFault is a fault of one account's next renewal.
type accountFault struct {
	name       string
	lostAnswer bool
	keepsToken bool // no new token follows
	// inject waits for the renewal, injects the fault, and sets undone to that time.
	// If undo is not nil, it undoes the fault, while the account heals.
	inject func(ctx context.Context, h *harness, r *row) (undo func() error, err error)
}

// injectEach injects all faults at once, each into an account of its own, and waits
// until all has healed.
func (h *harness) injectEach(ctx context.Context, firstAccount int, faults []accountFault) error {
	var all sync.WaitGroup
	errs, rows := make([]error, len(faults)), make([]*row, len(faults))
	from := h.now()
	for i, f := range faults {
		rows[i] = &row{fault: fault{name: f.name}, span: span{accounts: []string{h.accounts[firstAccount+i]}, from: from}, lostAnswer: f.lostAnswer}
		all.Go(func() { errs[i] = h.injectOne(ctx, rows[i], f) })
	}
	all.Wait()
	h.rows = append(h.rows, rows...)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return h.awaitHealing(ctx, rows...)
}

func (h *harness) injectOne(ctx context.Context, r *row, f accountFault) error {
	undo, err := f.inject(ctx, h, r)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	h.say("   %s (%s)", r.name, r.accounts[0])
	undone := make(chan error, 1)
	go func() {
		if undo != nil {
			undone <- undo()
		}
		close(undone)
	}()
	since := r.undone - 6*time.Second // a step can come this long after the token was issued
	if f.keepsToken {
		since = 0
	}
	r.notHealed = h.awaitTokens(ctx, since, r.accounts[0])
	r.healedAt = h.now()
	h.say("   healed: %s (%s) after %.2f s", r.name, r.accounts[0], (r.healedAt - r.undone).Seconds())
	return <-undone
}
