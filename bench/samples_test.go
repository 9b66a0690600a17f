package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSamples_Quantiles lie between the two nearest samples.
func TestSamples_Quantiles(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 2.5, samples{4, 1, 3, 2}.median(), 1e-9)
	assert.InDelta(t, 3.0, samples{5, 3, 1}.median(), 1e-9)
	assert.InDelta(t, 7.0, samples{7}.at(0.75), 1e-9)
	assert.Zero(t, samples(nil).median())
}

// TestSamples_RatioByRound does not show that the machine became ten times slower.
func TestSamples_RatioByRound(t *testing.T) {
	t.Parallel()
	ours, floor := samples{2, 20}, samples{1, 10}
	assert.Equal(t, samples{2, 2}, ours.per(floor))
	assert.Equal(t, "2.000 (2.000–2.000)", ours.per(floor).spread())
}

// TestMiddle_FiguresOfMedianRatio returns figures of one round, 11 / 10, and not
// 13 / 10, the medians of each.
func TestMiddle_FiguresOfMedianRatio(t *testing.T) {
	t.Parallel()
	ours, floor := middle(samples{20, 3, 11, 30, 13}, samples{10, 4, 10, 29, 1})
	assert.Equal(t, []float64{11, 10}, []float64{ours, floor})
	ours, floor = middle(samples{1, 3}, samples{1, 1})
	assert.Equal(t, []float64{1, 1}, []float64{ours, floor})
}

// TestInterleave_AlternatesOrder drops the first round.
func TestInterleave_AlternatesOrder(t *testing.T) {
	t.Parallel()
	order := ""
	one := func(name string) batch {
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
