package k8s_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
)

// phpToken must never be printed, by the app or by a test.
const phpToken = "canarytoken-of-the-php-app"

// phpApp is app.php as its Deployment runs it, with memcached and a fake sidecar.
type phpApp struct {
	lines chan string // what it prints
	asked atomic.Int32
	cmd   *exec.Cmd
}

// runPHPApp starts it. memcached holds entry, and the sidecar answers with status and answer.
func runPHPApp(t *testing.T, entry string, status int, answer string) *phpApp {
	t.Helper()
	const appID = "wx0123456789abcdef"
	return runPHPAppOf(t, appID, serveMemcached(t, appID, entry), status, answer)
}

// runPHPAppOf starts it for an account, with these memcacheds.
func runPHPAppOf(t *testing.T, appID, servers string, status int, answer string) *phpApp {
	t.Helper()
	app := &phpApp{lines: make(chan string)}
	m := build(t, "app-php-with-sidecar")
	container := m.deployments["app-php-with-sidecar"].Spec.Template.Spec.Containers[0]
	instead := map[string]string{
		"WECHAT_APPID":      appID,
		"MEMCACHED_SERVERS": servers,
		"SIDECAR_URL": "unix://" + serveSocket(t, func(w http.ResponseWriter, r *http.Request) {
			app.asked.Add(1)
			assert.Equal(t, "GET /v1/"+appID+"/access_token", r.Method+" "+r.URL.String())
			assert.Equal(t, "1", r.Header.Get("X-Wxsidecar"))
			w.WriteHeader(status)
			_, _ = io.WriteString(w, answer)
		}),
	}

	php, err := exec.LookPath("php")
	require.NoError(t, err, "php is not installed: run .ci/setup")
	app.cmd = exec.CommandContext(t.Context(), php, filepath.Join("app-php-with-sidecar", filepath.Base(container.Command[1])))
	for _, v := range container.Env {
		require.NotEmpty(t, instead[v.Name], "the test knows nothing of %s", v.Name)
		app.cmd.Env = append(app.cmd.Env, v.Name+"="+instead[v.Name])
	}
	stdout, err := app.cmd.StdoutPipe()
	require.NoError(t, err)
	app.cmd.Stderr = app.cmd.Stdout
	require.NoError(t, app.cmd.Start())
	go func() {
		defer close(app.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			app.lines <- s.Text()
		}
	}()
	return app
}

// serveMemcached runs a memcached with one entry, or none.
func serveMemcached(t *testing.T, key, entry string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	memcached := memcachetest.New()
	go func() { _ = memcached.Serve(listener) }() // ends with Close
	t.Cleanup(func() { assert.NoError(t, memcached.Close()) })
	if entry != "" {
		set(t, listener.Addr().String(), key, entry)
	}
	return listener.Addr().String()
}

// set writes an entry.
func set(t *testing.T, memcached, key, entry string) {
	t.Helper()
	conn, err := net.Dial("tcp", memcached)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "set %s 0 60 %d\r\n%s\r\n", key, len(entry), entry)
	require.NoError(t, err)
	stored, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "STORED\r\n", stored)
}

// serveSocket runs an HTTP server on a unix socket.
func serveSocket(t *testing.T, handler http.HandlerFunc) (socket string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "wx") //nolint:usetesting // t.TempDir's names are too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(folder)) })
	socket = filepath.Join(folder, "api.sock")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	return socket
}

// line returns its next line, or "" after its end.
func (a *phpApp) line(t *testing.T) string {
	t.Helper()
	select {
	case line := <-a.lines:
		if !assert.Zero(t, strings.Count(line, "canary"+"token"), "a token was printed") {
			return "a line with the token" // which no other assertion may print
		}
		return line
	case <-time.After(10 * time.Second):
		require.Fail(t, "the app prints nothing")
		return ""
	}
}

// ends sends SIGTERM and waits.
func (a *phpApp) ends(t *testing.T) time.Duration {
	t.Helper()
	start := time.Now()
	require.NoError(t, a.cmd.Process.Signal(syscall.SIGTERM))
	for range a.lines { // until it closes its output
	}
	require.NoError(t, a.cmd.Wait(), "the signal killed it: as process 1 it would ignore it")
	return time.Since(start)
}

// It does not ask the sidecar on a hit.
func TestPHPApp_ReadsMemcached(t *testing.T) {
	t.Parallel()
	app := runPHPApp(t, phpToken, http.StatusOK, `{"access_token":"another","expires_in":3600}`)
	for range 2 {
		assert.Regexp(t, `^\d\d:\d\d:\d\d  `+fingerprint()+`  from memcached$`, app.line(t))
	}
	app.ends(t)
	assert.Zero(t, app.asked.Load())
}

// Of several memcacheds it asks the one that the sidecars use by default.
func TestPHPApp_SeveralMemcacheds(t *testing.T) {
	t.Parallel()
	for i := range 6 {
		appID := fmt.Sprintf("wx%d", i)
		servers := []string{serveMemcached(t, appID, ""), serveMemcached(t, appID, ""), serveMemcached(t, appID, "")}
		at := ring.New(ring.Ketama, servers)(appID)
		set(t, servers[at], appID, phpToken)
		app := runPHPAppOf(t, appID, strings.Join(servers, ","), http.StatusOK, `{"access_token":"another","expires_in":3600}`)
		assert.Regexp(t, `^\d\d:\d\d:\d\d  `+fingerprint()+`  from memcached$`, app.line(t), appID)
		app.ends(t)
	}
}

// Without memcached it asks the sidecar each time, and reports no error of PHP.
func TestPHPApp_MemcachedIsOff(t *testing.T) {
	t.Parallel()
	app := runPHPAppOf(t, "wx1", "off", http.StatusOK, `{"access_token":"`+phpToken+`","expires_in":3600}`)
	for range 2 {
		assert.Regexp(t, `^\d\d:\d\d:\d\d  `+fingerprint()+`  from sidecar$`, app.line(t))
	}
	app.ends(t)
	assert.GreaterOrEqual(t, app.asked.Load(), int32(2))
}

// On a miss and on a damaged value, over the unix socket.
func TestPHPApp_AsksTheSidecarOnAMiss(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]string{
		"a miss": "", "a space": "canarytoken 0001", "null": "null", "an AppSecret": strings.Repeat("0123456789abcdef", 2),
	} {
		app := runPHPApp(t, entry, http.StatusOK, `{"access_token":"`+phpToken+`","expires_in":3600}`)
		assert.Regexp(t, `^\d\d:\d\d:\d\d  `+fingerprint()+`  from sidecar$`, app.line(t), name)
		app.ends(t)
		assert.Positive(t, app.asked.Load())
	}
}

// It has the README's rule for an entry, which a table of values tests.
func TestPHPApp_RuleOfTheREADME(t *testing.T) {
	t.Parallel()
	var rules []string
	for _, file := range []string{"app-php-with-sidecar/app.php", "../README.md"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		rules = append(rules, regexp.MustCompile(`'#\^\(\?!.*#D'`).FindString(string(text)))
	}
	assert.NotEmpty(t, rules[0])
	assert.Equal(t, rules[1], rules[0])
}

func TestPHPApp_PrintsTheErrcode(t *testing.T) {
	t.Parallel()
	app := runPHPApp(t, "", http.StatusBadGateway, `{"errcode":40164,"errmsg":"invalid ip 203.0.113.7"}`)
	assert.Regexp(t, `^\d\d:\d\d:\d\d  no token: 40164: invalid ip 203\.0\.113\.7$`, app.line(t))
	app.ends(t)
}

func TestPHPApp_EndsAfterSIGTERM(t *testing.T) {
	t.Parallel()
	app := runPHPApp(t, phpToken, http.StatusOK, "")
	app.line(t)
	assert.Less(t, app.ends(t), 5*time.Second)
}

// fingerprint returns how the app shows phpToken.
func fingerprint() string {
	sum := sha256.Sum256([]byte(phpToken))
	return hex.EncodeToString(sum[:])[:8]
}
