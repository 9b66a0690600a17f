package main

import (
	"context"
	"time"
)

// networkFaults are those of the ways between pods and memcached.
func networkFaults() []fault {
	const hold = 15 * time.Second
	on := func(name words, attacks []words, brief time.Duration, toxics ...toxic) fault {
		return fault{name: name, attacks: attacks, brief: brief, hold: hold, run: func(ctx context.Context, w *world, hold time.Duration) error {
			return poisoned(ctx, w.ways(), hold, toxics...)
		}}
	}
	return []fault{
		on(words{"memcached 50 ± 40 ms away", "到 memcached 的往返 50 ± 40 ms"}, []words{oneCall}, 0, toxic{"latency", "", map[string]int{"latency": 25, "jitter": 20}}),
		on(words{"memcached 300 ms away: every answer comes after the time-out", "到 memcached 的往返 300 ms：每个应答都在超时之后才到"}, []words{oneCall, neverDead}, 7*time.Second, toxic{"latency", "downstream", map[string]int{"latency": 300}}),
		on(words{"the way to memcached stalls: connections stand, nothing passes", "到 memcached 的路停滞：连接还在，什么都过不去"}, []words{neverNothing}, 7*time.Second, toxic{"timeout", "", map[string]int{"timeout": 0}}),
		on(words{"half-open: what is written to memcached arrives, no answer comes back", "半开：写给 memcached 的能到，应答回不来"}, []words{oneCall, neverDead}, 0, toxic{"timeout", "downstream", map[string]int{"timeout": 0}}),
		on(words{"resets: every connection to memcached, after its first bytes", "重置：每个到 memcached 的连接，在最初几个字节之后"}, []words{neverNothing}, 7*time.Second, toxic{"reset_peer", "downstream", map[string]int{"timeout": 0}}),
		on(words{"connections to memcached end after 300 bytes", "到 memcached 的连接在 300 字节后断开"}, []words{oneCall, neverNothing}, 0, toxic{"limit_data", "downstream", map[string]int{"bytes": 300}}),
		on(words{"memcached answers 1 KB a second, in slices of 8 bytes", "memcached 应答每秒 1 KB，每片 8 字节"}, []words{oneCall, neverNothing}, 0,
			toxic{"slicer", "downstream", map[string]int{"average_size": 8, "size_variation": 4, "delay": 1000}},
			toxic{"bandwidth", "downstream", map[string]int{"rate": 1}}),
		{
			name: words{"half of the pods cut off from memcached", "一半 Pod 与 memcached 断开"}, attacks: []words{oneCall, neverBackwards}, hold: 25 * time.Second,
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
