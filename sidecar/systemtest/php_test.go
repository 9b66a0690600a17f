package systemtest

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// readWith is a PHP app's code for each of the two extensions. The tests print the
// token's type, length and hash, never the token.
var readWith = map[string]string{
	"memcached": `$m = new Memcached(); $m->addServer($argv[1], (int)$argv[2]); $v = $m->get($argv[3]);`,
	"memcache":  `$m = new Memcache(); $m->connect($argv[1], (int)$argv[2]); $v = $m->get($argv[3]);`,
}

// Both PHP extensions read the entry as the plain token.
func TestPHP_ReadsThePublishedToken(t *testing.T) {
	t.Parallel()
	php, err := exec.LookPath("php")
	require.NoError(t, err, "php is not installed: run .ci/setup")
	w, m := programtest.NewBackends(t), newRealMemcached(t)
	spawn(t, append(w.Environ, "MEMCACHED_SERVERS="+m.Address, "MEMCACHED_KEY_PREFIX=p:"))
	eventually(t, func() bool { return w.LastToken() != "" && m.Ask(t, "get p:"+appID) != "END" }, "an entry")
	sum := sha256.Sum256([]byte(w.LastToken()))
	want := fmt.Sprintf("string %d %s", len(w.LastToken()), hex.EncodeToString(sum[:]))
	host, port, err := net.SplitHostPort(m.Address)
	require.NoError(t, err)
	for extension, read := range readWith {
		script := `if (!extension_loaded('` + extension + `')) { echo 'not installed'; exit; } ` +
			read + ` echo gettype($v), ' ', strlen((string)$v), ' ', hash('sha256', (string)$v);`
		got, err := exec.Command(php, "-r", script, host, port, "p:"+appID).CombinedOutput()
		require.NoError(t, err, extension)
		require.NotEqual(t, "not installed", string(got), "php's extension %s is not installed: run .ci/setup", extension)
		assert.Equal(t, want, string(got), extension)
	}

	assert.Regexp(t, `^HD t(3600|359\d)$`, m.Ask(t, "mg p:"+appID+" t"), "its lifetime")
	assert.Equal(t, fmt.Sprintf("VALUE p:%s 0 %d", appID, len(w.LastToken())), m.Ask(t, "get p:"+appID), "flags 0, nothing but the token")
}

// converse starts a program that answers lines until the test ends. If it prints to
// stderr, the test fails.
func converse(t *testing.T, command *exec.Cmd) (io.WriteCloser, *bufio.Scanner, *programtest.Output) {
	t.Helper()
	stderr := &programtest.Output{}
	command.Stderr = stderr
	in, err := command.StdinPipe()
	require.NoError(t, err)
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		assert.NoError(t, in.Close())
		assert.NoError(t, command.Wait())
		assert.Empty(t, programtest.Redact(stderr.String()))
	})
	return in, bufio.NewScanner(out), stderr
}
