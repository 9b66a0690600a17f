package systemtest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The standard logger is silent while another package's init would write to it.
func TestQuiet_PackageInitializationOrder(t *testing.T) {
	t.Parallel()
	version := exec.Command(binary(t), "version")
	version.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace strings.Builder
	version.Stderr = &trace
	require.NoError(t, version.Run())
	var order []string
	for line := range strings.Lines(trace.String()) {
		switch name, _, _ := strings.Cut(strings.TrimPrefix(line, "init "), " "); name {
		case "github.com/wxsidecar/wxsidecar/sidecar/web/quiet", "github.com/VictoriaMetrics/metrics", "github.com/wxsidecar/wxsidecar/sidecar/web":
			order = append(order, name)
		}
	}
	assert.Equal(t, []string{
		"github.com/wxsidecar/wxsidecar/sidecar/web/quiet", // the logger is held back
		"github.com/VictoriaMetrics/metrics",               // would log
		"github.com/wxsidecar/wxsidecar/sidecar/web",       // the logger may speak again
	}, order)
}
