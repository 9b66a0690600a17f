package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// The situations, in the order of the tables.
const (
	coldStart = iota
	renewal
	externalFetch
	memcachedRestarted
	memcachedDown
	situations
)

var situationNames = [situations]string{
	"cold start", "one renewal", "an external fetch", "memcached restarted", "memcached down",
}

const (
	// skipped is how far WeChat's clock advances: a token in its grace period is
	// invalid afterwards. No contestant renews in that time.
	skipped = grace + time.Second
	// before and after are the parts of a renewal's window before and after the
	// moment when the renewal is due.
	before = 2 * time.Second
	after  = 3500 * time.Millisecond
)

// runSituations runs a fleet through all situations but the renewal, on WeChat's own
// figures. The external fetch comes last, when memcached is back and every process
// has asked once, so that it disturbs no other situation.
func (f *fleet) runSituations(ctx context.Context) (seen [situations]figures, err error) {
	for _, step := range []struct {
		situation int
		begin     func(context.Context) error
	}{
		{coldStart, f.coldStart}, {memcachedRestarted, f.restartMemcached}, {memcachedDown, f.killMemcached}, {externalFetch, f.fetchExternally},
	} {
		if seen[step.situation], err = f.count(ctx, f.window, step.begin); err != nil {
			return seen, fmt.Errorf("%s: %w", situationNames[step.situation], err)
		}
	}
	var slowest time.Duration
	for _, p := range f.pods {
		slowest = max(slowest, p.startedAfter)
	}
	seen[coldStart].Worst += slowest.Microseconds()
	return seen, nil
}

// coldStart starts the workers of each pod, once the pod's sidecar has passed its
// startup probe.
func (f *fleet) coldStart(ctx context.Context) error {
	return f.startSidecars(ctx, func(p pod) error {
		for _, w := range p.workers {
			if err := w.send("go"); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fleet) restartMemcached(ctx context.Context) error {
	f.memcached.Kill()
	if err := f.memcached.Start(ctx); err != nil {
		return err
	}
	return f.work()
}

func (f *fleet) killMemcached(context.Context) error {
	f.memcached.Kill()
	return f.work()
}

func (f *fleet) fetchExternally(ctx context.Context) error {
	if err := f.memcached.Start(ctx); err != nil {
		return err
	}
	f.wechat.startCount()
	if err := program.Sleep(ctx, time.Second); err != nil {
		return err
	}
	if err := f.warmUp(); err != nil {
		return err
	}
	if err := f.wechat.reject(ctx, f.api); err != nil {
		return err
	}
	f.wechat.startCount()
	return f.work()
}

// count begins a situation, and the workers work now and five minutes later. It
// counts requests from the begin to the end of both.
func (f *fleet) count(ctx context.Context, window time.Duration, begin func(context.Context) error) (figures, error) {
	f.wechat.startCount()
	if err := begin(ctx); err != nil {
		return figures{}, err
	}
	if err := program.Sleep(ctx, window); err != nil {
		return figures{}, err
	}
	seen, err := f.stop()
	if err != nil {
		return figures{}, err
	}
	f.wechat.advance(skipped)
	if err := f.work(); err != nil {
		return figures{}, err
	}
	if err := program.Sleep(ctx, f.later); err != nil {
		return figures{}, err
	}
	more, err := f.stop()
	seen.add(more)
	return figures{Requests: f.wechat.lastCount(), tally: seen}, err
}

// renew runs a fleet through one renewal, by its contestant's own rule.
func (f *fleet) renew(ctx context.Context) (figures, error) {
	if f.firstLife > 0 {
		f.wechat.SetExpiresIn(f.firstLife)
		f.wechat.SetGrace(firstGrace)
	}
	begin := time.Now()
	if err := f.startSidecars(ctx, func(pod) error { return nil }); err != nil {
		return figures{}, err
	}
	if err := f.warmUp(); err != nil {
		return figures{}, err
	}
	f.wechat.SetExpiresIn(life)
	f.wechat.SetGrace(grace)
	if f.entry == "" {
		wait := time.Until(begin.Add(f.due - before))
		if wait < 0 {
			return figures{}, errors.New("the machine is too slow: the renewal was due before the fleet was up")
		}
		if err := program.Sleep(ctx, wait); err != nil {
			return figures{}, err
		}
	}
	return f.count(ctx, before+after, func(context.Context) error {
		if f.entry != "" {
			f.wechat.advance(f.entryLife - before)
			c := f.memcached.Client()
			defer func() { _ = c.Close() }()
			if err := c.Touch(f.entry, int32(before/time.Second)); err != nil {
				return fmt.Errorf("let memcached's time pass: %w", err)
			}
		}
		return f.work()
	})
}
