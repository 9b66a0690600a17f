package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// TestRun_QuickPrintsTable runs the cheapest section against a real memcached. It is
// not parallel, because it counts allocations.
func TestRun_QuickPrintsTable(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-quick", "-only", "local"}, &stdout, &stderr))
	lines := strings.Split(strings.TrimRight(stdout.String(), "\n"), "\n")
	require.Len(t, lines, 4, "head, rule, two rows")
	assert.Equal(t, "| what | wxsidecar | floor | ratio | goal |", lines[0])
	assert.Equal(t, "| allocations of the same | 0 | 0 | – | 0 |", lines[3])
	assert.Contains(t, stderr.String(), "local measured in")
	programtest.AssertNoCanary(t, stdout.String()+stderr.String())
}

// TestRun_UnknownSection names the sections in its error.
func TestRun_UnknownSection(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-only", "raed"}, &stdout, &stderr)
	require.ErrorContains(t, err, `"raed"`)
	require.ErrorContains(t, err, "use read, local, api")
	assert.Empty(t, stdout.String())
}
