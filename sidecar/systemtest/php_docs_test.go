package systemtest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/entries"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// Addresses in the documented PHP, and its check for the extension.
const (
	phpMemcached = `'memcached', 11211`
	phpSidecar   = `http://127.0.0.1:7200`
	phpHas       = `class_exists('Memcached')`
)

// extensions replace that check, so that both branches run if both extensions are
// installed.
var extensions = map[string]string{"memcached": "true", "memcache": "false"}

// phpOf returns a documented PHP function with other addresses and one extension.
func phpOf(t *testing.T, function, extension, memcached, sidecar string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(memcached)
	require.NoError(t, err)
	code := blockWith(t, "php", "function "+function)
	for _, replace := range [][2]string{
		{phpMemcached, "'" + host + "', " + port}, {phpSidecar, "http://" + sidecar}, {phpHas, extensions[extension]},
	} {
		require.Contains(t, code, replace[0])
		code = strings.ReplaceAll(code, replace[0], replace[1])
	}
	return code
}

// askPHP runs the documented PHP. It returns the token's SHA-256, or the message of its
// exception after "refused: ", with anything else that PHP printed.
func askPHP(t *testing.T, extension, memcached, sidecar, account string) string {
	t.Helper()
	php, err := exec.LookPath("php")
	require.NoError(t, err, "php is not installed: run .ci/setup")
	script := `if (!extension_loaded('` + extension + `')) { echo 'not installed'; exit; } ` +
		"error_reporting(E_ALL); ini_set('display_errors', 'stdout');\n" + phpOf(t, "wx_access_token", extension, memcached, sidecar) +
		"try { echo hash('sha256', wx_access_token('" + account + "')); } catch (RuntimeException $e) { echo 'refused: ', $e->getMessage(); }"
	got, err := exec.Command(php, "-r", script).CombinedOutput()
	require.NoError(t, err, extension)
	require.NotEqual(t, "not installed", string(got), "php's extension %s is not installed: run .ci/setup", extension)
	return string(got)
}

func sha256Of(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// onLoopback starts a sidecar that listens on loopback, where PHP can ask it.
func onLoopback(t *testing.T, memcached string, more ...string) (w *programtest.Backends, api string) {
	t.Helper()
	w, api = programtest.NewBackends(t), programtest.Address(t)
	spawn(t, append(append(w.Environ, "MEMCACHED_SERVERS="+memcached, "SIDECAR_LISTEN="+api), more...))
	eventually(t, func() bool { return w.LastToken() != "" }, "a token")
	ready(t, w.Ops)
	return w, api
}

// The documented PHP reads the entry and does not ask the sidecar.
func TestDocsPHP_ReadsTheEntry(t *testing.T) {
	t.Parallel()
	m := newRealMemcached(t)
	w, _ := onLoopback(t, m.Address)
	eventually(t, func() bool { return m.Ask(t, "get "+appID) != "END" }, "an entry")
	closed := programtest.Address(t)
	for extension := range extensions {
		assert.Equal(t, sha256Of(w.LastToken()), askPHP(t, extension, m.Address, closed, appID), extension)
	}
}

// A worker that runs for days calls it often: no call leaves a connection.
func TestDocsPHP_LeavesNoConnection(t *testing.T) {
	t.Parallel()
	m := newRealMemcached(t)
	require.Equal(t, "STORED", m.Ask(t, "set "+appID+" 0 60 20\r\ncanarytoken-01234567"))
	require.Equal(t, "STORED", m.Ask(t, "set "+appID+":jsapi_ticket 0 60 20\r\ncanarytoken-76543210"))
	for extension := range extensions {
		for function, call := range map[string]string{
			"wx_access_token": "wx_access_token('" + appID + "')", "wx_js_config": "wx_js_config('" + appID + "', 'https://app.example/')",
		} {
			script := phpOf(t, function, extension, m.Address, programtest.Address(t)) +
				"$open = fn () => count(scandir('/proc/self/fd')); " + call + "; $before = $open(); " +
				"for ($i = 0; $i < 20; $i++) " + call + "; echo $open() - $before;"
			got, err := exec.Command("php", "-r", script).CombinedOutput()
			require.NoError(t, err, "%s, %s: %s", extension, function, got)
			assert.Equal(t, "0", string(got), "%s, %s", extension, function)
		}
	}
}

// On a miss it asks the sidecar.
func TestDocsPHP_Miss(t *testing.T) {
	t.Parallel()
	m := newRealMemcached(t)
	w, api := onLoopback(t, m.Address, "MEMCACHED_KEY_PREFIX=elsewhere:") // so that PHP's key stays empty
	for extension := range extensions {
		assert.Equal(t, sha256Of(w.LastToken()), askPHP(t, extension, m.Address, api, appID), extension)
	}
	assert.Equal(t, "END", m.Ask(t, "get "+appID), "it was a miss")
}

// It returns an entry that is a credential. If the entry is damaged it asks the sidecar.
// The clients have the same table.
func TestDocsPHP_Entries(t *testing.T) {
	t.Parallel()
	m := newRealMemcached(t)
	w, api := onLoopback(t, m.Address, "MEMCACHED_KEY_PREFIX=elsewhere:")
	for _, value := range entries.Values(t) {
		want := w.LastToken()
		if value.Valid {
			want = value.Text
		}
		set := fmt.Sprintf("set %s %d 60 %d\r\n%s", appID, value.Flags, len(value.Text), value.Text)
		require.Equal(t, "STORED", m.Ask(t, set))
		for extension := range extensions {
			assert.Equal(t, sha256Of(want), askPHP(t, extension, m.Address, api, appID), "%s, %s", extension, value.Name)
		}
	}
}

// If memcached hangs, it asks the sidecar after a second at most.
func TestDocsPHP_MemcachedHangs(t *testing.T) {
	t.Parallel()
	m := newRealMemcached(t)
	w, api := onLoopback(t, m.Address)
	m.Signal(syscall.SIGSTOP)
	for extension := range extensions {
		start := time.Now()
		assert.Equal(t, sha256Of(w.LastToken()), askPHP(t, extension, m.Address, api, appID), extension)
		assert.Less(t, time.Since(start), 4*time.Second, extension) // with php's start; the default of memcached is 5 s
	}
}

// If memcached is down it asks the sidecar.
func TestDocsPHP_MemcachedDown(t *testing.T) {
	t.Parallel()
	m := newRealMemcached(t)
	w, api := onLoopback(t, m.Address)
	m.Kill()
	for extension := range extensions {
		assert.Equal(t, sha256Of(w.LastToken()), askPHP(t, extension, m.Address, api, appID), extension)
	}
}

// It throws the sidecar's error.
func TestDocsPHP_ThrowsTheError(t *testing.T) {
	t.Parallel()
	m := newRealMemcached(t)
	_, api := onLoopback(t, m.Address)
	closed := programtest.Address(t)
	for extension := range extensions {
		assert.Equal(t, "refused: 40013: invalid appid: not configured in this sidecar", askPHP(t, extension, m.Address, api, "wxunknown"), extension)
		assert.Equal(t, "refused: no answer from the sidecar", askPHP(t, extension, m.Address, closed, "wxunknown"), extension)
	}
}

// The functions are short and have no syntax that PHP 5.6 lacks.
func TestDocsPHP_RunsOnPHP56(t *testing.T) {
	t.Parallel()
	for function, lines := range map[string]int{"wx_access_token": 10, "wx_js_config": 19} {
		code := blockWith(t, "php", "function "+function)
		assert.LessOrEqual(t, strings.Count(code, "\n"), lines, "lines")
		assert.NotRegexp(t, `\?\?|\?->|\bfn ?\(|\bmatch ?\(|\) ?: ?\??\w+ ?\{`, code)
		assert.NotRegexp(t, `function \w+\(\??\w+ \$`, code, "types of parameters")
	}
}

// The documented PHP for the unix socket works.
func TestDocsPHP_UnixSocket(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	spawn(t, w.Environ)
	eventually(t, func() bool { return w.LastToken() != "" }, "a token")
	code := blockWith(t, "php", "/run/wxsidecar/api.sock")
	require.Contains(t, code, "'/run/wxsidecar/api.sock'")
	script := "error_reporting(E_ALL); ini_set('display_errors', 'stdout'); $appid = '" + appID + "';\n" +
		strings.ReplaceAll(code, "/run/wxsidecar/api.sock", w.Socket) + "echo hash('sha256', $got['access_token']);"
	got, err := exec.Command("php", "-r", script).CombinedOutput()
	require.NoError(t, err)
	assert.Equal(t, sha256Of(w.LastToken()), string(got))
}
