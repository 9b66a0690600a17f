package main

import (
	"cmp"
	"context"
	"runtime"
	"slices"
)

// samples is one number per round.
type samples []float64

// at is the quantile q, 0 to 1, between the two nearest samples.
func (s samples) at(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	place := q * float64(len(sorted)-1)
	below := int(place)
	if below+1 == len(sorted) {
		return sorted[below]
	}
	rest := place - float64(below)
	return sorted[below]*(1-rest) + sorted[below+1]*rest
}

func (s samples) median() float64 { return s.at(0.5) }

// per is s divided by t, round by round.
func (s samples) per(t samples) samples {
	ratios := make(samples, len(s))
	for i := range s {
		ratios[i] = s[i] / t[i]
	}
	return ratios
}

// duel is two contenders' numbers, round by round.
type duel struct{ ours, floor samples }

func (d duel) ratio() samples { return d.ours.per(d.floor) }

// middle is what both had in the round whose ratio is the median: printed side by
// side, they divide to it, which the medians of each alone need not. Of an even number
// of rounds it is the lower one of the two in the middle.
func (d duel) middle() (ours, floor float64) {
	ratio := d.ratio()
	order := make([]int, len(ratio))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ratio[a], ratio[b]) })
	at := order[(len(order)-1)/2]
	return d.ours[at], d.floor[at]
}

// minus is what s has more than t, round by round.
func (s samples) minus(t samples) samples {
	differences := make(samples, len(s))
	for i := range s {
		differences[i] = s[i] - t[i]
	}
	return differences
}

// contender runs one batch and returns its number.
type contender func(context.Context) (float64, error)

// interleave lets the contenders take turns: one batch each per round, every
// second round in the opposite order, so that what drifts while it measures
// favours nobody. The first round only warms up.
func interleave(ctx context.Context, rounds int, contenders ...contender) ([]samples, error) {
	all := make([]samples, len(contenders))
	for round := range rounds + 1 {
		for i := range contenders {
			at := i
			if round%2 == 1 {
				at = len(contenders) - 1 - i
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			runtime.GC() // nobody pays for the garbage of the one before
			number, err := contenders[at](ctx)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				all[at] = append(all[at], number)
			}
		}
	}
	return all, nil
}
