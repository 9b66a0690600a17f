package main

import (
	"context"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// networkFaults returns the faults of the network between pods and memcached.
func networkFaults() []fault {
	const toMemcached, fromMemcached = "upstream", "downstream"
	on := func(name string, short time.Duration, toxics ...toxic) fault {
		return fault{name: name, short: short, hold: 15 * time.Second, run: func(ctx context.Context, h *harness, hold time.Duration) error {
			for _, p := range h.pods {
				if err := p.proxy.poison(toxics...); err != nil {
					return err
				}
			}
			err := program.Sleep(ctx, hold)
			for _, p := range h.pods {
				if cured := p.proxy.cure(); err == nil {
					err = cured
				}
			}
			return err
		}}
	}
	with := func(name string, value int) map[string]int { return map[string]int{name: value} }
	slow := map[string]int{"latency": 25, "jitter": 20}
	slices := map[string]int{"average_size": 8, "size_variation": 4, "delay": 1000}
	return []fault{
		on("memcached 50 ± 40 ms away", 0, toxic{"latency", toMemcached, slow}, toxic{"latency", fromMemcached, slow}),
		on("memcached 300 ms away: every answer comes after the time-out", 7*time.Second, toxic{"latency", fromMemcached, with("latency", 300)}),
		on("the network to memcached stalls: connections stay open, nothing passes", 7*time.Second,
			toxic{"timeout", toMemcached, with("timeout", 0)}, toxic{"timeout", fromMemcached, with("timeout", 0)}),
		on("half-open: memcached receives commands, no answer arrives", 0, toxic{"timeout", fromMemcached, with("timeout", 0)}),
		on("resets: every connection to memcached, after its first bytes", 7*time.Second, toxic{"reset_peer", fromMemcached, with("timeout", 0)}),
		on("connections to memcached end after 300 bytes", 0, toxic{"limit_data", fromMemcached, with("bytes", 300)}),
		on("memcached answers 1 KB a second, in slices of 8 bytes", 0, toxic{"slicer", fromMemcached, slices}, toxic{"bandwidth", fromMemcached, with("rate", 1)}),
		{name: "half of the pods cut off from memcached", hold: 25 * time.Second, run: cutOffHalf},
	}
}

func cutOffHalf(ctx context.Context, h *harness, hold time.Duration) error {
	half := h.pods[:len(h.pods)/2]
	for _, p := range half {
		p.proxy.Stop()
	}
	err := program.Sleep(ctx, hold)
	for _, p := range half {
		if started := p.proxy.Start(); err == nil {
			err = started
		}
	}
	return err
}
