package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache" //nolint:depguard // the judge reads entries past the code that it judges

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// memcachedFaults returns the faults of memcached itself.
func memcachedFaults() []fault {
	return []fault{
		{name: "memcached killed, back and empty after 5 s", hold: 5 * time.Second, short: 5 * time.Second, run: killMemcached},
		{name: "memcached gone for 40 s, back and empty", hold: 40 * time.Second, run: killMemcached},
		{name: "memcached frozen", hold: 8 * time.Second, run: freezeMemcached},
		{name: "memcached emptied, every second", hold: 10 * time.Second, short: 5 * time.Second, run: emptyMemcached},
		{name: "memcached filled until it evicts", hold: 25 * time.Second, run: fillMemcached},
	}
}

func killMemcached(ctx context.Context, h *harness, hold time.Duration) error {
	h.memcached.Kill()
	if err := program.Sleep(ctx, hold); err != nil {
		return err
	}
	if err := h.memcached.Start(ctx); err != nil {
		return err
	}
	return h.memcached.Until(ctx, 10*time.Millisecond, func() bool { return h.entries.Ping() == nil })
}

func freezeMemcached(ctx context.Context, h *harness, hold time.Duration) error {
	process := h.memcached.Cmd.Process
	return errors.Join(process.Signal(syscall.SIGSTOP), program.Sleep(ctx, hold), process.Signal(syscall.SIGCONT))
}

func emptyMemcached(ctx context.Context, h *harness, hold time.Duration) error {
	for range int(hold / time.Second) {
		if err := errors.Join(h.entries.FlushAll(), program.Sleep(ctx, time.Second)); err != nil {
			return err
		}
	}
	return nil
}

// fillMemcached writes items of all the sizes that the sidecars' items have, 2,000 a
// second. It returns an error if memcached still has all of the first thousand.
func fillMemcached(ctx context.Context, h *harness, hold time.Duration) error {
	var first []string
	for n, end := 0, h.now()+hold; h.now() < end; n++ {
		key := fmt.Sprint("filling:", n)
		if n < 1000 {
			first = append(first, key)
		}
		_ = h.entries.Set(&memcache.Item{Key: key, Value: []byte(strings.Repeat("x", 16+n*37%1500))}) // it may have no room
		if n%20 > 0 {
			continue
		}
		if err := program.Sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	left, err := h.entries.GetMulti(first)
	if err == nil && len(left) == len(first) {
		err = errors.New("memcached evicted nothing")
	}
	h.say("   %d of the first %d items evicted", len(first)-len(left), len(first))
	return err
}
