package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
)

// episode is a stretch of time in which things go wrong in one way, or in all.
type episode func(ctx context.Context, w *world, until time.Time)

// episode throws the dice for one, and returns its name too.
func (w *world) episode() (string, episode) {
	if *simOnly != "" {
		only, ok := episodes[*simOnly]
		require.True(w.t, ok, "-sim.only=%s: there is no such episode", *simOnly)
		return *simOnly, only
	}
	names := slices.Sorted(maps.Keys(episodes))
	name := names[w.between(0, len(names)-1)]
	return name, episodes[name]
}

var episodes = map[string]episode{
	"pauses": pauses, "kills": kills, "restarts": restarts, "cuts": cuts, "cold_starts": coldStarts, "shaky_starts": shakyStarts,
	"amnesia": amnesia, "duels": duels, "ambushes": ambushes, "sleepers": sleepers, "overtaken": overtaken, "emptied": emptied,
	"memcached_faults": memcachedFaults, "memcached_losses": memcachedLosses,
	"wechat_errors": wechatErrors, "wechat_broken": wechatBroken, "lost_answers": lostAnswers, "outages": outages,
	"rotations": rotations, "failing_pods": failingPods, "refused_writes": refusedWrites, "slow_times": slowTimes, "clocks_apart": clocksApart, "external_fetches": externalFetches,
	"mistaken_reports": mistakenReports, "voided_tickets": voidedTickets,
}

// days is the life of the simulated cluster: calm, then trouble, then calm.
func days(hours int) func(ctx context.Context, w *world) {
	return func(ctx context.Context, w *world) {
		n := 0
		end := time.Now().Add(time.Duration(hours) * time.Hour)
		for time.Now().Before(end) && sleep(ctx, w.seconds(20*60, 150*60)) {
			until := time.Now().Add(w.seconds(5*60, 60*60))
			if w.between(0, 3) > 0 || *simOnly != "" {
				name, run := w.episode()
				n++
				w.note("episode %s", name)
				own := w.as(fmt.Sprint(name, n))
				own.alone = true
				run(ctx, own, until)
				continue
			}
			done := make(chan struct{}) // two at a time
			otherName, other := w.episode()
			name, run := w.episode()
			n += 2
			w.note("episodes %s and %s", name, otherName)
			go func() {
				defer close(done)
				other(ctx, w.as(fmt.Sprint(otherName, n-1)), until)
			}()
			run(ctx, w.as(fmt.Sprint(name, n)), until)
			<-done
		}
		sleep(ctx, 15*time.Minute)
	}
}
