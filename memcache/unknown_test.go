package memcache

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Unknown fields are kept up to a kilobyte of JSON.
func TestRecord_KeepsAKilobyteOfUnknownFields(t *testing.T) {
	t.Parallel()
	const own = `"token":"canarytoken-0001","number":5,"issued":100,"expires":7300`
	small, err := decodeRecord([]byte(`{` + own + `,"later":"` + strings.Repeat("a", 1000) + `"}`))
	require.NoError(t, err)
	assert.Len(t, small.unknownFields, 1)
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, `,"%d":1`, i)
	}
	big, err := decodeRecord([]byte(`{` + own + many.String() + `}`))
	require.NoError(t, err, "the record is sound all the same")
	assert.Empty(t, big.unknownFields, "each would take thirty times its bytes of memory")
	assert.Equal(t, int64(5), big.Number)
}
