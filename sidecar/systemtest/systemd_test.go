package systemtest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

const unitFile = root + "/docs/install/wxsidecar.service"

// parseUnit returns a unit file's settings by name. Each may occur more than once.
func parseUnit(t *testing.T) map[string][]string {
	t.Helper()
	unit := map[string][]string{}
	for line := range strings.Lines(fileText(t, unitFile)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		require.True(t, ok, "%s", line)
		unit[name] = append(unit[name], value)
	}
	return unit
}

// The unit's command line runs with its variables and credentials, as systemd gives them.
func TestUnit_StartsTheSidecar(t *testing.T) {
	t.Parallel()
	w, unit, dir := programtest.NewBackends(t), parseUnit(t), programtest.ShortDir(t)
	place := strings.NewReplacer("/usr/local/bin/sidecar", binary(t), "%d", dir, "/run/wxsidecar", dir)
	for _, load := range unit["LoadCredential"] {
		name, _, ok := strings.Cut(load, ":")
		require.True(t, ok)
		programtest.WriteFile(t, filepath.Join(dir, name), testSecret+"\n")
	}
	var environ []string
	for _, pair := range unit["Environment"] {
		environ = append(environ, place.Replace(pair))
	}
	require.Len(t, unit["ExecStart"], 1)
	words := strings.Fields(place.Replace(unit["ExecStart"][0]))
	spawnProgram(t, words[0], append(environ, "MEMCACHED_SERVERS="+w.MemcachedAddress, "SIDECAR_OPS_LISTEN="+w.Ops, "WECHAT_BASE_URL="+w.WeChatURL), words[1:]...)
	ready(t, w.Ops)
}

// Settings of the unit that must agree with each other and with the program.
func TestUnit_SettingsAgree(t *testing.T) {
	t.Parallel()
	unit := parseUnit(t)
	assert.Contains(t, unit["Environment"], "GOMEMLIMIT="+unit["MemoryMax"][0]+"iB")
	assert.Contains(t, unit["Environment"], "SIDECAR_LISTEN=unix:///run/"+unit["RuntimeDirectory"][0]+"/api.sock", "systemd makes the socket's folder")
	assert.Equal(t, []string{"2"}, unit["RestartPreventExitStatus"], "a wrong configuration stays wrong")
	assert.Equal(t, 2, exitBadUsage)
}
