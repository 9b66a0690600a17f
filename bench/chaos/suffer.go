package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// fault is something that goes wrong, and is undone again.
type fault struct {
	name    words
	attacks []words // the promises
	hold    time.Duration
	brief   time.Duration // the hold in a short run; 0: it has no place there
	// memcached: it, or the way to it, is what is hurt.
	memcached bool
	// free: neither memcached nor sidecars are hurt, so nothing hinders the readers.
	free bool
	// run brings it about, holds it, and undoes it.
	run func(ctx context.Context, w *world, hold time.Duration) error
	// parts replaces run where each account suffers something else: it adds rows; or
	// where nothing is hurt.
	parts func(ctx context.Context, w *world) error
	// also is what must be well too before all has healed; nil: nothing more.
	also func(w *world) error
	// pardon is why reads may fail, where the protocol cannot promise otherwise.
	pardon words
}

// row is a line of the table.
type row struct {
	name    words
	attacks []words
	span
	undone, healed time.Duration
	never          error // why it did not heal
	pardon         words
	memcached      bool
	free           bool
	// lost: an answer of WeChat's was lost. The next call's token is the second one
	// then, and ends the one that apps have without a grace: until it is in memcached,
	// and until a sidecar that is asked has looked.
	lost bool
}

const (
	// calmAtLeast is how long nothing is done after a fault, healed or not.
	calmAtLeast = 4 * time.Second
	// calmAtMost is how long healing can take: the doubt, and a request.
	calmAtMost = doubtAtMost + 15*time.Second
)

// suffer is a fault in its turn, and the calm after it.
func (w *world) suffer(ctx context.Context, f fault) error {
	w.journal.say("== %s", f.name.en)
	if f.parts != nil {
		return f.parts(ctx, w)
	}
	r := &row{name: f.name, attacks: f.attacks, pardon: f.pardon, memcached: f.memcached, free: f.free}
	w.rows = append(w.rows, r)
	r.from = w.journal.now()
	if err := f.run(ctx, w, f.hold); err != nil {
		return err
	}
	r.undone = w.journal.now()
	w.journal.say("   undone")
	if err := w.calm(ctx, r, f.also); err != nil {
		return err
	}
	r.to = w.journal.now()
	return ctx.Err()
}

// calm waits until all has healed.
func (w *world) calm(ctx context.Context, r *row, also func(*world) error) error {
	limit, cancel := context.WithTimeout(ctx, calmAtMost)
	defer cancel()
	var last error
	last, r.never = w.wholly(limit, also)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.healed = w.journal.now()
	if r.never != nil {
		w.journal.say("   NOT HEALED: %s", r.never)
		return nil
	}
	w.journal.say("   healed after %.2f s%s", (r.healed - r.undone).Seconds(), because(last))
	if r.never = w.remembered(ctx); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r.never != nil {
		w.journal.say("   NOT HEALED: %s", r.never)
		return nil
	}
	w.journal.say("   every sidecar remembers it after %.2f s", (w.journal.now() - r.undone).Seconds())
	return pause(ctx, calmAtLeast-(w.journal.now()-r.undone))
}

// remembered waits until every sidecar remembers what the entries are, which it
// learns of when it looks: after a look, and one more where entries still changed.
func (w *world) remembered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*lookAtMost)
	defer cancel()
	for {
		err := w.everyMemory(ctx, time.Now())
		if err == nil || pause(ctx, 250*time.Millisecond) != nil {
			return err
		}
	}
}

func (w *world) everyMemory(ctx context.Context, now time.Time) error {
	for _, p := range w.pods {
		all, err := p.remembered(ctx)
		if err != nil {
			return fmt.Errorf("sidecar %d: %w", p.number, err)
		}
		for _, account := range w.accounts {
			if err = w.wechat.outdated(account, w.watch.entry(account), all[account], now); err != nil {
				return fmt.Errorf("sidecar %d: %w", p.number, err)
			}
		}
	}
	return nil
}

// because says what healed last.
func because(last error) string {
	if last == nil {
		return ""
	}
	return "; the last that was amiss: " + last.Error()
}

// wholly waits until every entry is as it should be and every sidecar is ready.
// last is what was amiss for longest, err that something still is.
func (w *world) wholly(ctx context.Context, also func(*world) error) (last, err error) {
	for {
		if err = w.whole(ctx); err == nil && also != nil {
			err = also(w)
		}
		if err == nil || ctx.Err() != nil {
			return last, err
		}
		last = err
		_ = pause(ctx, 50*time.Millisecond) // the next turn sees
	}
}

func (w *world) whole(ctx context.Context) error {
	for _, account := range w.accounts {
		if err := w.wechat.sick(account, w.watch.entry(account)); err != nil {
			return err
		}
	}
	for _, p := range w.pods {
		if !p.probe(ctx, "/readyz") {
			return fmt.Errorf("sidecar %d is not ready", p.number)
		}
	}
	return nil
}

// healed waits until the entry of one account is as it should be, with a token
// that was issued at that time or later.
func (w *world) healed(ctx context.Context, account string, since time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, calmAtMost)
	defer cancel()
	for {
		token := w.watch.entry(account)
		err := w.wechat.sick(account, token)
		if err == nil {
			if _, held, _ := w.wechat.newest(account, token); w.journal.at(held.At) >= since {
				return nil
			}
			err = fmt.Errorf("%s: no new token", account)
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return err
		}
	}
}

// settled waits until every account has a token of full life: with less of it left
// than a doubt lasts, a token would die of itself where WeChat's do not.
func (w *world) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, life, errors.New("the accounts are not renewed"))
	defer cancel()
	for _, account := range w.accounts {
		for {
			token := w.watch.entry(account)
			_, held, err := w.wechat.newest(account, token)
			if err == nil && held.Dies.Sub(held.At) >= life-time.Second {
				break
			}
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}
