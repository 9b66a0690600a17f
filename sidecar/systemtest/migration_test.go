package systemtest

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// migration are two PHP programs of one variant, on two machines, that fetch tokens
// themselves, and a sidecar that starts beside them. The test advances WeChat's clock,
// so that the 300 s of a superseded token pass at once.
type migration struct {
	*programtest.Backends
	memcached *realMemcached
	ahead     atomic.Int64 // of WeChat's clock, in nanoseconds
	programs  []*oldProgram
	reader    *client.Client // a program that uses the sidecar
	sidecar   *process
	started   []printer // all programs and sidecars, stopped ones too
	requests  int
	invalid   []string // program and errcode of each invalid token
}

// grace is how long a superseded token stays valid.
const grace = 300 * time.Second

func newMigration(t *testing.T) *migration {
	t.Helper()
	m := &migration{Backends: programtest.NewBackends(t), memcached: newRealMemcached(t)}
	m.WeChat.SetNow(func() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) })
	// On a busy machine memcached can take longer than 200 ms. The sidecar would then
	// fetch from stable_token, which is correct but not what these tests check.
	m.Environ = append(m.Environ, "MEMCACHED_SERVERS="+m.memcached.Address, "MEMCACHED_TIMEOUT=2s", "WECHAT_TIMEOUT=10s")
	var err error
	m.reader, err = client.New(client.Config{AppID: appID, Servers: []string{m.memcached.Address}, Sidecar: "unix://" + m.Socket})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.reader.Close()) })
	m.printIfFailed(t)
	return m
}

// printer is a program's name and output.
type printer struct {
	name   string
	output func() string
}

// printIfFailed logs the steps. If the test fails, it logs the programs' outputs without
// secrets. It must be called before the programs start, so that it runs after their end.
func (m *migration) printIfFailed(t *testing.T) {
	t.Helper()
	m.WeChat.OnRequest(func(r wechattest.Request) wechattest.Answer {
		m.step(t, "request %d to WeChat, %s", r.N, r.API)
		return wechattest.Answer{}
	})
	t.Cleanup(func() {
		m.WeChat.OnRequest(nil)
		if !t.Failed() {
			return
		}
		for i, p := range m.started {
			t.Logf("output of program %d, %s:\n%s", i, p.name, programtest.Redact(p.output()))
		}
	})
}

// step logs a step of the test with the time.
func (m *migration) step(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf(time.Now().Format(time.TimeOnly+".000")+" "+format, args...)
}

// oldProgram is a running testdata/oldprogram.php.
type oldProgram struct {
	name string
	in   io.WriteCloser
	out  *bufio.Scanner
}

// program starts one. tokens is the address that it fetches from.
func (m *migration) program(t *testing.T, keep, tokens, secret string, environ ...string) *oldProgram {
	t.Helper()
	php, err := exec.LookPath("php")
	require.NoError(t, err, "php is not installed: run .ci/setup")
	// 24575 is everything but deprecations: pecl-memcache causes one on PHP 8.2.
	command := exec.Command(php, "-d", "error_reporting=24575", "-d", "display_errors=stderr", filepath.Join("testdata", "oldprogram.php"), keep, tokens, m.WeChatURL)
	command.Env = append([]string{"APPID=" + appID, "APPSECRET=" + secret, "MEMCACHED=" + m.memcached.Address}, environ...)
	in, lines, complaints := converse(t, command)
	m.started = append(m.started, printer{"php " + keep, complaints.String})
	return &oldProgram{keep, in, lines}
}

// everybody makes a request, now and after the grace period.
func (m *migration) everybody(t *testing.T) {
	t.Helper()
	for range 2 {
		for _, p := range m.programs {
			m.requests++
			_, err := io.WriteString(p.in, "request\n")
			require.NoError(t, err)
			require.True(t, p.out.Scan(), "the program ended")
			m.step(t, "%s printed %s", p.name, p.out.Text())
			if p.out.Text() != "0" {
				m.invalid = append(m.invalid, p.name+": "+p.out.Text())
			}
		}
		if m.sidecar != nil {
			m.requests++
			token, err := m.reader.AccessToken(t.Context())
			require.NoError(t, err)
			m.step(t, "the program that uses the sidecar read %s, errcode %d", memcache.Fingerprint(token), m.WeChat.Accepts(token))
			if m.WeChat.Accepts(token) != 0 {
				m.invalid = append(m.invalid, "the program that uses the sidecar")
			}
		}
		m.ahead.Add(int64(grace + time.Second))
	}
}

// beside starts the sidecar, or restarts it with other variables.
func (m *migration) beside(t *testing.T, api string, more ...string) {
	t.Helper()
	if m.sidecar != nil {
		require.Equal(t, exitFine, m.sidecar.terminates(t))
	}
	m.sidecar = spawn(t, append(append(m.Environ[:len(m.Environ):len(m.Environ)], "WECHAT_TOKEN_API="+api), more...))
	m.started = append(m.started, printer{"sidecar " + api, m.sidecar.Stderr.String})
	m.step(t, "the sidecar starts with %s", api)
	ready(t, m.Ops)
	m.step(t, "the sidecar is ready")
}

// requests returns the requests to the API that the programs use.
func (m *migration) requestsToWeChat() int { return m.WeChat.Requests(appID, "token") }

func (m *migration) noneWasInvalid(t *testing.T) {
	t.Helper()
	assert.Empty(t, m.invalid, "of %d requests", m.requests)
	t.Logf("%d requests, %d with an invalid token; %d requests to /cgi-bin/token, %d of /cgi-bin/stable_token",
		m.requests, len(m.invalid), m.requestsToWeChat(), m.WeChat.Requests(appID, "stable_token"))
}

// Programs that share memcached move to the sidecar and never use an invalid token.
func TestMigration_MemcacheVariant(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	for range 2 {
		m.programs = append(m.programs, m.program(t, "memcache", m.WeChatURL, testSecret))
	}
	m.everybody(t)
	require.Equal(t, 1, m.requestsToWeChat(), "they share memcached")

	m.beside(t, "stable_token")
	eventually(t, func() bool { return programtest.Entry(t, m.memcached.store) == m.LastToken() }, "the entry is the sidecar's")
	m.everybody(t)
	m.beside(t, "token")
	m.everybody(t)
	assert.Equal(t, 1, m.requestsToWeChat(), "no program fetches any more")

	// The variant damages the entry after an error of WeChat.
	m.step(t, "the entry is damaged")
	require.Equal(t, "STORED", m.memcached.Ask(t, "set "+appID+" 1 3600 2\r\nN;"))
	require.Eventually(t, func() bool { return programtest.Entry(t, m.memcached.store) == m.LastToken() }, 3*patience, often, "a poll repairs it")
	m.everybody(t)
	m.noneWasInvalid(t)
}

// Programs that fetch for each call move to the sidecar and never use an invalid token.
func TestMigration_RealTimeVariant(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	api := programtest.Address(t)
	compat := []string{"SIDECAR_COMPAT=true", "SIDECAR_LISTEN=" + api}
	var err error
	m.reader, err = client.New(client.Config{AppID: appID, Servers: []string{m.memcached.Address}, Sidecar: "http://" + api})
	require.NoError(t, err)
	m.programs = []*oldProgram{m.program(t, "realtime", m.WeChatURL, testSecret), m.program(t, "realtime", m.WeChatURL, testSecret)}
	m.everybody(t)

	m.beside(t, "stable_token", compat...)
	m.everybody(t)
	for i := range m.programs { // one after the other
		m.programs[i] = m.program(t, "realtime", "http://"+api, noSecret)
		m.everybody(t)
	}
	before := m.requestsToWeChat()
	m.beside(t, "token", compat...)
	m.everybody(t)
	assert.Equal(t, before, m.requestsToWeChat(), "no program fetches any more")
	m.noneWasInvalid(t)
}

// If the sidecar starts with the classic API, the programs invalidate its token. So the
// migration begins with stable_token.
func TestMigration_RealTimeVariantClassicFirst(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	m.programs = []*oldProgram{m.program(t, "realtime", m.WeChatURL, testSecret), m.program(t, "realtime", m.WeChatURL, testSecret)}
	m.beside(t, "token")
	m.everybody(t)
	assert.NotEmpty(t, m.invalid, "the programs' fetches invalidated the sidecar's token")
	for _, who := range m.invalid {
		assert.True(t, strings.HasPrefix(who, "the program that uses the sidecar"), who)
	}
}
