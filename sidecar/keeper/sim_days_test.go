package keeper_test

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
)

// episode is a stretch of time in which things go wrong in one way, or in all.
type episode func(ctx context.Context, w *world, until time.Time)

func (w *world) episode() episode {
	if *simOnly != "" {
		only, ok := episodes[*simOnly]
		require.True(w.t, ok, "-sim.only=%s: there is no such episode", *simOnly)
		return only
	}
	names := slices.Sorted(maps.Keys(episodes))
	return episodes[names[w.between(0, len(names)-1)]]
}

var episodes = map[string]episode{
	"pauses": pauses, "kills": kills, "restarts": restarts, "cuts": cuts, "cold_starts": coldStarts, "shaky_starts": shakyStarts,
	"amnesia": amnesia, "duels": duels, "ambushes": ambushes, "sleepers": sleepers, "overtaken": overtaken, "emptied": emptied,
	"memcached_faults": memcachedFaults, "memcached_losses": memcachedLosses,
	"wechat_errors": wechatErrors, "wechat_broken": wechatBroken, "lost_answers": lostAnswers, "outages": outages,
	"rotations": rotations, "strangers": strangers, "voided_tickets": voidedTickets,
}

// days is the life of the simulated cluster: calm, then trouble, then calm.
func days(hours int) func(ctx context.Context, w *world) {
	return func(ctx context.Context, w *world) {
		end := time.Now().Add(time.Duration(hours) * time.Hour)
		for time.Now().Before(end) && sleep(ctx, w.seconds(20*60, 150*60)) {
			until := time.Now().Add(w.seconds(5*60, 60*60))
			if w.between(0, 3) > 0 || *simOnly != "" {
				w.episode()(ctx, w, until)
				continue
			}
			done := make(chan struct{}) // two at a time
			other := w.episode()
			go func() {
				defer close(done)
				other(ctx, w, until)
			}()
			w.episode()(ctx, w, until)
			<-done
		}
		sleep(ctx, 15*time.Minute)
	}
}
