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

func TestRowsOfOneNameAreOneRowOfTheDocumentation(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, writeBrief(&out, []row{
		{brief: "a", ours: "13.7 µs", floor: "11.3 µs", ratio: "1.04 (1.00–1.10)", goal: "≤ 1.05 ×", met: met},
		{what: "left out"},
		{brief: "a", ours: "7.9 µs", floor: "7.6 µs", ratio: "1.06 (1.01–1.20)", goal: "≤ 1.05 ×", met: missed},
		{brief: "b", ours: "4.1 (4.0–4.3) ns", goal: "≤ 20 ns", met: missed},
		{brief: "c", ours: perSecond(63085), floor: perSecond(1234567)},
	}))
	_, table, _ := strings.Cut(out.String(), "|---|\n")
	assert.Equal(t, "| a | 13.7 / 7.9 µs | 11.3 / 7.6 µs | 1.04 / 1.06 | ≤ 1.05, missed by 1 of 2 |\n"+
		"| b | 4.1 ns | – | – | ≤ 20 ns, missed |\n| c | 63,085 a second | 1,234,567 a second | – | – |\n", table)
}
