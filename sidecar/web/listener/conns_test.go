package listener

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// All connections fit into half of the memory limit.
func TestShare_FitsTheMemoryLimit(t *testing.T) {
	for _, c := range []struct {
		limit    int64
		api, ops int
	}{
		{math.MaxInt64, maxConns, maxConns}, // GOMEMLIMIT is not set
		{1 << 30, 12_288, 4_096},
		{128 << 20, 1_536, 512},
		{32 << 20, 384, 128},
		{16 << 20, 192, minConns},
		{1 << 20, minConns, minConns},
		{0, minConns, minConns},
	} {
		assert.Equal(t, c.api, apiShare.connections(c.limit), "limit %d", c.limit)
		assert.Equal(t, c.ops, opsShare.connections(c.limit), "limit %d", c.limit)
	}
}
