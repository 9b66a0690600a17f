package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func systemdAnalyze(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	require.NoError(t, err, "systemd-analyze is not installed: run make setup")
	out, err := exec.Command(path, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// systemd's own reader finds misspelt settings and values that it does not take.
func TestSystemdFindsNoFaultWithTheUnit(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(document(t, unitFile), "/usr/local/bin/sidecar", binary(t))
	file := writeFile(t, filepath.Join(t.TempDir(), filepath.Base(unitFile)), text)
	assert.Empty(t, systemdAnalyze(t, "verify", "--man=no", file))
}

// The figure is the recipe's.
func TestSystemdFindsTheUnitHardened(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs(filepath.Join(root, unitFile))
	require.NoError(t, err)
	out := systemdAnalyze(t, "security", "--offline=true", "--no-pager", "--threshold=15", file)
	assert.Contains(t, out, "Overall exposure level for wxsidecar.service: 1.4 OK")
	assert.Contains(t, document(t, "docs/recipes.md"), "`systemd-analyze security` gives it 1.4 of 10")
}
