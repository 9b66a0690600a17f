package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestTable_JoinsFiguresOfRow prints the unit of a row and the missed goals once.
func TestTable_JoinsFiguresOfRow(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "| what | wxsidecar | floor | ratio | goal |\n|---|---|---|---|---|\n"+
		"| a \\| b | 13.7 / 7.9 µs | 11.3 / 7.6 µs | 1.04 / 1.06 | ≤ 1.05, missed by 1 of 2 |\n"+
		"| c | 4.1 ns | – | – | ≤ 20 ns, missed |\n| d | 1 | 1 | – | 1 |\n", table([]row{
		{what: "a | b", unit: "µs", goal: "≤ 1.05", figures: []figure{
			{ours: "13.7", floor: "11.3", ratio: "1.04"}, {ours: "7.9", floor: "7.6", ratio: "1.06", missed: true},
		}},
		{what: "c", unit: "ns", goal: "≤ 20 ns", figures: []figure{{ours: "4.1", missed: true}}},
		{what: "d", goal: "1", figures: []figure{{ours: "1", floor: "1"}}},
	}))
}
