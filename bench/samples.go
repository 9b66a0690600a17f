package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
)

// samples is one number per round.
type samples []float64

// at returns the quantile q, 0 to 1, between the two nearest samples.
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

// spread returns the median with its quartiles.
func (s samples) spread() string {
	return fmt.Sprintf("%.3f (%.3f–%.3f)", s.median(), s.at(0.25), s.at(0.75))
}

// per returns s divided by t, round by round.
func (s samples) per(t samples) samples {
	ratios := make(samples, len(s))
	for i := range s {
		ratios[i] = s[i] / t[i]
	}
	return ratios
}

// middle returns the numbers of the round whose ratio of ours to floor is the
// median. Their quotient is that median; the medians of each alone need not divide
// to it. With an even number of rounds it takes the lower one in the middle.
func middle(ours, floor samples) (one, other float64) {
	ratio := ours.per(floor)
	order := make([]int, len(ratio))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ratio[a], ratio[b]) })
	at := order[(len(order)-1)/2]
	return ours[at], floor[at]
}

// batch runs one batch and returns its number.
type batch func(context.Context) (float64, error)

// interleave runs one batch of each per round, every second round in the opposite
// order, so that a drift of the machine favours none. It drops the first round.
func interleave(ctx context.Context, rounds int, batches ...batch) ([]samples, error) {
	all := make([]samples, len(batches))
	for round := range rounds + 1 {
		for i := range batches {
			at := i
			if round%2 == 1 {
				at = len(batches) - 1 - i
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			runtime.GC() // or a batch pays for the garbage of the one before
			number, err := batches[at](ctx)
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
