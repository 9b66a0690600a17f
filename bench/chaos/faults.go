package main

import (
	"context"
	"fmt"
	"regexp"
	"time"
)

// fullMinutes is what all faults take together.
const fullMinutes = 20

// faults are all of them in their turn. Sidecars are killed first, so that half of
// them live to the end: whether they have grown is looked at then.
func faults() []fault {
	all := []fault{
		{name: "half of the sidecars killed, restarted after the hold", attacks: "Never nothing, One call", short: true, hold: 8 * time.Second, run: killHalf},
		{name: "all sidecars killed, restarted at once", attacks: "Never nothing, One call", hold: 0, run: killAll},
		{name: "killed and frozen in each step", attacks: "One call, Never dead", parts: eachStep},
		{name: "half of the sidecars frozen", attacks: "Never dead, Never backwards", short: true, hold: 20 * time.Second, run: freezeHalf},
	}
	all = append(all, ofMemcached(networkFaults())...)
	// Only now: to answer apps while memcached is away costs a sidecar memory that it keeps.
	all = append(all, fault{name: firstFlat, parts: func(ctx context.Context, w *world) (err error) {
		w.baseline, err = w.take(ctx)
		return err
	}, short: true})
	all = append(all, ofMemcached(memcachedFaults())...)
	all = append(all, weChatFaults()...)
	all = append(all, fault{name: "the mirrors' disks full", attacks: "Never nothing", hold: 20 * time.Second, run: diskFull, also: mirrored})
	return append(all, fault{name: lastFlat, parts: func(ctx context.Context, w *world) (err error) {
		w.end, err = w.take(ctx)
		return err
	}, short: true}, fault{
		name: "everything forgotten: all sidecars killed, memcached emptied", attacks: "One call", hold: 0, run: forgetAll,
		pardon: "no token is anywhere until WeChat has issued one",
	})
}

func ofMemcached(all []fault) []fault {
	for i := range all {
		all[i].memcached = true
	}
	return all
}

const (
	firstFlat = "what the sidecars hold now"
	lastFlat  = "what the sidecars hold at the end"
)

// planned is the faults of a run.
func planned(minutes int, only string) ([]fault, error) {
	named, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	var plan []fault
	for _, f := range faults() {
		if minutes < fullMinutes && only == "" {
			f.hold /= 2
		}
		if (minutes >= fullMinutes || f.short || only != "") && named.MatchString(f.name) {
			plan = append(plan, f)
		}
	}
	if len(plan) == 0 || minutes < 1 {
		return nil, fmt.Errorf("-minutes %d -only %q: that is no fault", minutes, only)
	}
	return plan, nil
}

func killHalf(ctx context.Context, w *world, hold time.Duration) error {
	half := w.pods[:len(w.pods)/2]
	for _, p := range half {
		p.kill()
	}
	if err := pause(ctx, hold); err != nil {
		return err
	}
	for _, p := range half {
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func killAll(ctx context.Context, w *world, _ time.Duration) error {
	for _, p := range w.pods {
		p.kill()
	}
	return w.startAll(ctx)
}

func freezeHalf(ctx context.Context, w *world, hold time.Duration) error {
	half := w.pods[:len(w.pods)/2]
	for _, p := range half {
		p.freeze()
	}
	defer func() {
		for _, p := range half {
			p.thaw()
		}
	}()
	return pause(ctx, hold)
}

func forgetAll(ctx context.Context, w *world, _ time.Duration) error {
	for _, p := range w.pods {
		p.kill()
	}
	if _, err := w.memcached.ask(ctx, "flush_all", ""); err != nil {
		return err
	}
	w.forgotten = w.journal.now()
	return w.startAll(ctx)
}
