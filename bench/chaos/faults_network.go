package main

import (
	"context"
	"time"
)

// networkFaults are those of the ways between pods and memcached.
func networkFaults() []fault {
	const hold = 15 * time.Second
	on := func(name, attacks string, short bool, toxics ...toxic) fault {
		return fault{name: name, attacks: attacks, short: short, hold: hold, run: func(ctx context.Context, w *world, hold time.Duration) error {
			return poisoned(ctx, w.ways(), hold, toxics...)
		}}
	}
	return []fault{
		on("memcached 50 ± 40 ms away", "One call", false, toxic{"latency", "", map[string]int{"latency": 25, "jitter": 20}}),
		on("memcached 300 ms away: every answer comes after the time-out", "One call, Never dead", true, toxic{"latency", "downstream", map[string]int{"latency": 300}}),
		on("stalls: connections stand, nothing passes", "Never nothing", true, toxic{"timeout", "", map[string]int{"timeout": 0}}),
		on("half-open: what is written arrives, no answer comes back", "One call, Never dead", false, toxic{"timeout", "downstream", map[string]int{"timeout": 0}}),
		on("resets: every connection, after its first bytes", "Never nothing", true, toxic{"reset_peer", "downstream", map[string]int{"timeout": 0}}),
		on("connections that end after 300 bytes", "One call, Never nothing", false, toxic{"limit_data", "downstream", map[string]int{"bytes": 300}}),
		on("1 KB a second, in slices of 8 bytes", "One call, Never nothing", false,
			toxic{"slicer", "downstream", map[string]int{"average_size": 8, "size_variation": 4, "delay": 1000}},
			toxic{"bandwidth", "downstream", map[string]int{"rate": 1}}),
		{
			name: "half of the pods cut off from memcached", attacks: "One call, Never backwards", hold: 25 * time.Second,
			run: func(ctx context.Context, w *world, hold time.Duration) error {
				half := w.ways()[:len(w.pods)/2]
				for _, p := range half {
					p.Stop()
				}
				err := pause(ctx, hold)
				for _, p := range half {
					if started := p.Start(); err == nil {
						err = started
					}
				}
				return err
			},
		},
	}
}
