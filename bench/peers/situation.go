package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The situations, in the order of the tables.
const (
	coldStart = iota
	renewal
	rejectedToken
	memcachedRestarted
	memcachedDown
	situations
)

var situationNames = [situations]string{
	"cold start", "one renewal", "a rejected token", "memcached restarted", "memcached down",
}

const (
	// skipped is how far WeChat's clock is put forward: until a token that lives on
	// in its grace is dead. No contestant renews in that time by himself.
	skipped = grace + time.Second
	// before and after are what a renewal's window has to both sides of the moment
	// when the renewal is due.
	before = 2 * time.Second
	after  = 3500 * time.Millisecond
)

// bench is what all fleets of a run have in common.
type bench struct {
	programs
	*loopback
	workers int      // of a pod
	environ []string // more variables of sidecars and workers; none in a real run, which keeps to the defaults
	// window is how long the workers work in a situation, later how long they work
	// once more, five minutes later by WeChat's clock.
	window, later time.Duration
}

// hour runs a fleet through all situations but the renewal, on WeChat's own
// figures. The rejected token comes last, so that what is left of it is in nobody's
// way: memcached is back by then, and every process has asked once.
func (f *fleet) hour(ctx context.Context) (seen [situations]figures, err error) {
	for _, step := range []struct {
		situation int
		begin     func() error
	}{
		{coldStart, func() error { return f.coldStart(ctx) }},
		{memcachedRestarted, func() error {
			f.memcached.kill()
			if err := f.memcached.start(ctx); err != nil {
				return err
			}
			return f.work()
		}},
		{memcachedDown, func() error {
			f.memcached.kill()
			return f.work()
		}},
		{rejectedToken, func() error {
			if err := f.memcached.start(ctx); err != nil {
				return err
			}
			f.wechat.open()
			if err := sleep(ctx, time.Second); err != nil {
				return err
			}
			if err := f.warm(); err != nil {
				return err
			}
			return f.rejected(ctx)
		}},
	} {
		if seen[step.situation], err = f.live(ctx, f.window, step.begin); err != nil {
			return seen, fmt.Errorf("%s: %w", situationNames[step.situation], err)
		}
	}
	seen[coldStart].Worst += f.slowestStart().Microseconds()
	return seen, nil
}

// coldStart lets the workers of each pod go. Where there is a sidecar they go once
// it has passed its startup probe; what that took is a worker's wait.
func (f *fleet) coldStart(ctx context.Context) error {
	return f.startSidecars(ctx, func(p pod) error {
		for _, w := range p.workers {
			if err := w.tell("go"); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fleet) rejected(ctx context.Context) error {
	if err := f.wechat.reject(ctx, f.api); err != nil {
		return err
	}
	f.wechat.open()
	return f.work()
}

// live is one situation: it begins, the workers work, they work again five minutes
// later. Calls count from its begin to the end of both.
func (f *fleet) live(ctx context.Context, window time.Duration, begin func() error) (figures, error) {
	f.wechat.open()
	if err := begin(); err != nil {
		return figures{}, err
	}
	if err := sleep(ctx, window); err != nil {
		return figures{}, err
	}
	seen, err := f.rest()
	if err != nil {
		return figures{}, err
	}
	f.wechat.pass(skipped)
	if err := f.work(); err != nil {
		return figures{}, err
	}
	if err := sleep(ctx, f.later); err != nil {
		return figures{}, err
	}
	more, err := f.rest()
	seen.add(more)
	return figures{Requests: f.wechat.page(), tally: seen}, err
}

// stage is held by the fleet that acts, so that no two disturb each other.
type stage struct{ sync.Mutex }

// renew runs a fleet through one renewal, by its contestant's own rule. Its stage
// is held; who waits long for the renewal leaves it to others meanwhile.
func (f *fleet) renew(ctx context.Context, on *stage) (figures, error) {
	if f.firstLife > 0 {
		f.wechat.SetExpiresIn(f.firstLife)
		f.wechat.SetGrace(firstGrace)
	}
	begin := time.Now()
	if err := f.startSidecars(ctx, func(pod) error { return nil }); err != nil {
		return figures{}, err
	}
	if err := f.warm(); err != nil {
		return figures{}, err
	}
	f.wechat.SetExpiresIn(life)
	f.wechat.SetGrace(grace)
	if f.due > 0 && time.Since(begin) > f.due-before {
		return figures{}, errors.New("the machine is too slow: a fleet was not up before its renewal was due")
	}
	if f.entry != "" {
		return f.live(ctx, before+after, func() error {
			f.wechat.pass(f.entryLife - before)
			if err := f.memcached.passTo(f.entry, before); err != nil {
				return fmt.Errorf("memcached's time: %w", err)
			}
			return f.work()
		})
	}
	long := f.due > slot
	if long { // the next one's turn comes after ours, however long both wait
		if err := sleep(ctx, time.Until(begin.Add(slot))); err != nil {
			return figures{}, err
		}
		on.Unlock()
	}
	err := sleep(ctx, time.Until(begin.Add(f.due-before)))
	if long {
		on.Lock()
	}
	if err != nil {
		return figures{}, err
	}
	return f.live(ctx, before+after, f.work)
}

// slot is longer than a renewal's window with what follows it.
const slot = before + after + 5*time.Second

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
