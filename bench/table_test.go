package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTableIsMarkdownWithOneLinePerRow(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, writeTable(&out, []row{
		{what: "a | b", ours: "1", goal: "≤ 2", met: met},
		{what: "c", met: missed},
	}))
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	require.Len(t, lines, 4)
	assert.Equal(t, "|---|---|---|---|---|---|---|", lines[1])
	assert.Equal(t, `| a \| b | 1 | – | – | ≤ 2 | met | – |`, lines[2])
	assert.Equal(t, "| c | – | – | – | – | **missed** | – |", lines[3])
}
