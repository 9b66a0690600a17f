package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const unitFile = "docs/wxsidecar.service"

// unit is a unit file's settings by name; each may stand more than once.
type unit map[string][]string

func parseUnit(t *testing.T, text string) unit {
	t.Helper()
	u := unit{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		require.True(t, ok, "%s", line)
		u[name] = append(u[name], value)
	}
	return u
}

// start runs the unit's command line with its variables, as systemd would: the
// credentials copied into a folder of their own, paths as a test has them.
func (u unit) start(t *testing.T, place *strings.Replacer, more ...string) *process {
	t.Helper()
	credentials := t.TempDir()
	for _, load := range u["LoadCredential"] {
		name, path, ok := strings.Cut(load, ":")
		require.True(t, ok)
		writeFile(t, filepath.Join(credentials, name), fileText(t, place.Replace(path)))
	}
	environ := more
	for _, pair := range u["Environment"] {
		environ = append(environ, place.Replace(strings.ReplaceAll(pair, "%d", credentials)))
	}
	require.Len(t, u["ExecStart"], 1)
	words := strings.Fields(place.Replace(u["ExecStart"][0]))
	return spawnProgram(t, words[0], environ, words[1:]...)
}

// startUnit starts what the README's commands have installed.
func (x *terminal) startUnit(t *testing.T) {
	t.Helper()
	installed := filepath.Join(x.etc, "etc/systemd/system/wxsidecar.service")
	assert.Equal(t, document(t, unitFile), fileText(t, installed))
	for name, mode := range map[string]os.FileMode{
		"etc/wxsidecar": os.ModeDir | 0o700, "etc/wxsidecar/appsecret": 0o400, "usr/local/bin/sidecar": 0o755,
	} {
		info, err := os.Stat(filepath.Join(x.etc, name))
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode(), name)
	}
	place := strings.NewReplacer(
		"/usr/local/bin/", x.etc+"/usr/local/bin/", "/etc/wxsidecar", x.etc+"/etc/wxsidecar", "/run/wxsidecar", x.etc+"/run/wxsidecar",
		"127.0.0.1:11211", x.memcached, "127.0.0.1:7201", x.ops)
	parseUnit(t, fileText(t, installed)).start(t, place, "WECHAT_BASE_URL="+x.url)
	x.ready(t)
}

func TestTheUnitsVariablesAreTheProgramsOwn(t *testing.T) {
	t.Parallel()
	u := parseUnit(t, document(t, unitFile))
	var known []string
	for _, v := range variables() {
		known = append(known, v.name)
	}
	known = append(known, "GOMEMLIMIT") // Go's own
	require.NotEmpty(t, u["Environment"])
	assert.Contains(t, u["Environment"], "GOMEMLIMIT="+u["MemoryMax"][0]+"iB")
	for _, pair := range u["Environment"] {
		name, _, _ := strings.Cut(pair, "=")
		assert.Contains(t, known, name)
	}
	folder := "/run/" + u["RuntimeDirectory"][0]
	assert.Contains(t, u["Environment"], "SIDECAR_LISTEN=unix://"+folder+"/api.sock", "systemd makes the socket's folder")
	assert.Equal(t, []string{"2"}, u["RestartPreventExitStatus"], "a bad configuration stays one")
	assert.Equal(t, 2, exitBadUsage)
}
