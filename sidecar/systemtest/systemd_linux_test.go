package systemtest

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

func systemdAnalyze(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	require.NoError(t, err, "systemd-analyze is not installed: run .ci/setup")
	out, err := exec.Command(path, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// systemd's own parser finds misspelled settings and wrong values.
func TestUnit_SystemdVerifies(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(fileText(t, unitFile), "/usr/local/bin/sidecar", binary(t))
	file := programtest.WriteFile(t, filepath.Join(t.TempDir(), filepath.Base(unitFile)), text)
	assert.Empty(t, systemdAnalyze(t, "verify", "--man=no", file))
}

// systemd rates the unit's hardening.
func TestUnit_IsHardened(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs(unitFile)
	require.NoError(t, err)
	out := systemdAnalyze(t, "security", "--offline=true", "--no-pager", "--threshold=15", file)
	assert.Contains(t, out, "Overall exposure level for wxsidecar.service: 1.4 OK")
}
