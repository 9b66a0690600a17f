package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestQuickRunPrintsTheTable runs what is cheapest, against a real memcached. Not
// parallel: it counts allocations.
func TestQuickRunPrintsTheTable(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-quick", "-only", "local"}, &stdout, &stderr))
	lines := strings.Split(strings.TrimRight(stdout.String(), "\n"), "\n")
	require.Len(t, lines, 11, "head, rule, two rows; a line between two empty ones; head, rule, two rows")
	assert.Equal(t, "| "+strings.Join(columns, " | ")+" |", lines[0])
	assert.Equal(t, "| what | wxsidecar | floor | ratio | goal |", lines[7])
	for _, line := range lines[:4] {
		assert.Equal(t, len(columns)+1, strings.Count(line, "|"))
	}
	assert.Contains(t, lines[3], "| met |", "no allocation")
	assert.Contains(t, stderr.String(), "local …")
	for _, secret := range []string{"canary" + "secret", "canary" + "token"} {
		assert.Zero(t, strings.Count(stdout.String()+stderr.String(), secret), "a secret was printed")
	}
}

func TestUnknownSectionIsNamedWithThoseThatThereAre(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-only", "raed"}, &stdout, &stderr)
	require.ErrorContains(t, err, `"raed"`)
	require.ErrorContains(t, err, "read, local, api")
	assert.Empty(t, stdout.String())
}
