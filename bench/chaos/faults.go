package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// fullMinutes is how long a run with all faults takes.
const fullMinutes = 26

// fault is something that goes wrong and is undone again.
type fault struct {
	name string
	hold time.Duration
	// short is the hold in a short run. 0 means that short runs leave the fault out.
	short time.Duration
	// run injects the fault, holds it, and undoes it.
	run func(ctx context.Context, h *harness, hold time.Duration) error
	// ownRows means that run adds rows itself, and waits until all has healed.
	ownRows bool
	// healed returns an error while more than entries and sidecars has to heal; nil
	// means that nothing more does.
	healed func(h *harness) error
	// memcached means that memcached, or the network to it, fails.
	memcached bool
	// readersFree means that nothing hinders the readers.
	readersFree bool
	// excuse is why reads can fail although no invariant is broken.
	excuse string
}

// plan is the faults of a run, in their order.
type plan struct {
	faults []fault
	whole  bool // all of them
}

// firstLife returns the shortest life of a token at the start. A whole run begins
// once all tokens have been renewed. In a shorter run, a token with a much shorter
// life would be due when the fleet has too little time left to write it back into an
// emptied memcached.
func (p plan) firstLife() time.Duration {
	if p.whole {
		return life / 4
	}
	return life * 2 / 3
}

// allFaults returns the faults of a whole run. The resources of the sidecars are
// measured before and after all faults that sidecars survive. Faults that kill
// sidecars come last.
func allFaults() []fault {
	hurt := slices.Concat(networkFaults(), memcachedFaults())
	for i := range hurt {
		hurt[i].memcached = true
	}
	measurement := []fault{{name: "no fault: resources measured", ownRows: true, readersFree: true, run: measure}}
	return slices.Concat(measurement, freezeFaults(), hurt, weChatFaults(), diskFaults(), measurement, killFaults())
}

// planned returns the faults of a run: in a run of 26 minutes all, in a shorter one
// those that have a short form. only selects faults by name instead.
func planned(minutes int, only string) (plan, error) {
	named, err := regexp.Compile(only)
	if err != nil {
		return plan{}, fmt.Errorf("-only: %w", err)
	}
	all := allFaults()
	if only == "" && minutes >= fullMinutes {
		return plan{all, true}, nil
	}
	var chosen []fault
	for _, f := range all {
		if only == "" {
			f.hold = f.short
		}
		if (f.short > 0 || only != "") && named.MatchString(f.name) {
			chosen = append(chosen, f)
		}
	}
	if len(chosen) == 0 || minutes < 1 {
		return plan{}, fmt.Errorf("-minutes %d -only %q: no fault matches", minutes, only)
	}
	return plan{faults: chosen}, nil
}
