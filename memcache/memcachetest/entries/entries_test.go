package entries_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/entries"
)

// The table's verdicts are those of the rule, and each name is there once.
func TestValues_FollowTheRule(t *testing.T) {
	names := map[string]bool{}
	for _, v := range entries.Values(t) {
		assert.Equal(t, entries.Valid(v.Text, v.Flags), v.Valid, v.Name)
		assert.NotEmpty(t, v.Name)
		assert.False(t, names[v.Name], "twice: %s", v.Name)
		names[v.Name] = true
	}
}
