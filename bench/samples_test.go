package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMedianLiesBetweenTheMiddleSamples(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 2.5, samples{4, 1, 3, 2}.median(), 1e-9)
	assert.InDelta(t, 3.0, samples{5, 3, 1}.median(), 1e-9)
	assert.InDelta(t, 7.0, samples{7}.at(0.75), 1e-9)
	assert.Zero(t, samples(nil).median())
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	t.Parallel()
	// The machine became ten times slower on the way: no ratio shows it.
	ours, floor := samples{2, 20}, samples{1, 10}
	assert.Equal(t, samples{2, 2}, ours.per(floor))
	assert.Equal(t, "2.0 (2.0–2.0)", ours.per(floor).spread(1))
	assert.Equal(t, samples{1, 10}, ours.minus(floor))
}

func TestTheFiguresOfARowAreOfTheRoundThatHasItsRatio(t *testing.T) {
	t.Parallel()
	d := duel{ours: samples{20, 3, 11, 30, 13}, floor: samples{10, 4, 10, 29, 1}}
	ours, floor := d.middle()
	assert.InDelta(t, d.ratio().median(), ours/floor, 1e-9)
	assert.Equal(t, []float64{11, 10}, []float64{ours, floor}, "and not 13 / 10, the medians of each alone")
	ours, floor = duel{ours: samples{1, 3}, floor: samples{1, 1}}.middle()
	assert.Equal(t, []float64{1, 1}, []float64{ours, floor})
}

func TestContendersTakeTurnsInBothOrders(t *testing.T) {
	t.Parallel()
	order := ""
	one := func(name string) contender {
		return func(context.Context) (float64, error) {
			order += name
			return float64(len(order)), nil
		}
	}
	all, err := interleave(t.Context(), 2, one("a"), one("b"))
	require.NoError(t, err)
	assert.Equal(t, "ab"+"ba"+"ab", order)
	assert.Equal(t, []samples{{4, 5}, {3, 6}}, all, "the first round only warms up")
}
