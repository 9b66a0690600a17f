package main

import (
	"context"
	"errors"
	"time"
)

// memcachedFaults are those of memcached itself.
func memcachedFaults() []fault {
	return []fault{
		{name: words{"memcached killed, back and empty after 5 s", "memcached 被杀，5 秒后空着回来"}, attacks: []words{neverNothing, oneCall}, hold: 5 * time.Second, brief: 5 * time.Second, run: memcachedKilled},
		{name: words{"memcached gone for 40 s, back and empty", "memcached 消失 40 秒，空着回来"}, attacks: []words{neverNothing, neverDead}, hold: 40 * time.Second, run: memcachedKilled},
		{name: words{"memcached frozen", "memcached 被冻住"}, attacks: []words{neverNothing, oneCall}, hold: 8 * time.Second, run: memcachedFrozen},
		{name: words{"memcached emptied, every second", "memcached 每秒清空一次"}, attacks: []words{oneCall, neverBackwards}, hold: 10 * time.Second, brief: 5 * time.Second, run: memcachedFlushed},
		{name: words{"memcached filled until it evicts", "memcached 写满直到逐出"}, attacks: []words{oneCall, neverNothing}, hold: 25 * time.Second, run: memcachedFilled},
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
