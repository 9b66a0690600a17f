package web

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestConnectionsFitIntoHalfOfTheMemoryLimit(t *testing.T) {
	for _, c := range []struct {
		limit int64
		want  int
	}{
		{math.MaxInt64, maxConns}, // GOMEMLIMIT is not set
		{1 << 30, maxConns},
		{128 << 20, 2730},
		{32 << 20, 682},
		{1 << 20, minConns},
		{0, minConns},
	} {
		assert.Equal(t, c.want, affordable(c.limit), "limit %d", c.limit)
	}
}
