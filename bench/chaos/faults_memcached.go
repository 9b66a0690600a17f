package main

import (
	"context"
	"errors"
	"time"
)

// memcachedFaults are those of memcached itself.
func memcachedFaults() []fault {
	return []fault{
		{name: "memcached killed, back and empty after 5 s", attacks: "Never nothing, One call", short: true, hold: 5 * time.Second, run: memcachedKilled},
		{name: "memcached gone for 40 s", attacks: "Never nothing, Never dead", hold: 40 * time.Second, run: memcachedKilled},
		{name: "memcached frozen", attacks: "Never nothing, One call", short: true, hold: 8 * time.Second, run: memcachedFrozen},
		{name: "memcached emptied, every second", attacks: "One call, Never backwards", short: true, hold: 10 * time.Second, run: memcachedFlushed},
		{name: "memcached filled until it evicts", attacks: "One call, Never nothing", hold: 25 * time.Second, run: memcachedFilled},
	}
}

func memcachedKilled(ctx context.Context, w *world, hold time.Duration) error {
	w.memcached.process.kill()
	if err := pause(ctx, hold); err != nil {
		return err
	}
	return w.memcached.start(ctx)
}

func memcachedFrozen(ctx context.Context, w *world, hold time.Duration) error {
	w.memcached.freeze()
	defer w.memcached.thaw()
	return pause(ctx, hold)
}

func memcachedFlushed(ctx context.Context, w *world, hold time.Duration) error {
	for range int(hold / time.Second) {
		if _, err := w.memcached.ask(ctx, "flush_all", ""); err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

func memcachedFilled(ctx context.Context, w *world, hold time.Duration) error {
	before, err := w.memcached.evictions(ctx)
	if err != nil {
		return err
	}
	flooding, cancel := context.WithTimeout(ctx, hold)
	defer cancel()
	if err = w.memcached.flood(flooding); err != nil {
		return err
	}
	after, err := w.memcached.evictions(ctx)
	if err != nil {
		return err
	}
	w.journal.say("   %d items evicted", after-before)
	if after == before {
		return errors.New("memcached evicted nothing")
	}
	return nil
}
