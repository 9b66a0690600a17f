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

// migration is two PHP programs of one variant, on two machines, that fetch for
// themselves, and a sidecar that comes beside them. WeChat's clock can be put
// ahead, so that the 300 s of a superseded token pass in no time.
type migration struct {
	*programtest.Backends
	memcached *realMemcached
	ahead     atomic.Int64 // of WeChat's clock, in nanoseconds
	programs  []*oldProgram
	reader    *client.Client // a program that has moved already
	sidecar   *process
	started   []printer // all programs and sidecars, stopped ones too
	requests  int
	dead      []string // who met which errcode
}

// grace is how long a superseded token works.
const grace = 300 * time.Second

func newMigration(t *testing.T) *migration {
	t.Helper()
	m := &migration{Backends: programtest.NewBackends(t), memcached: newRealMemcached(t)}
	m.WeChat.SetNow(func() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) })
	// On a busy machine an answer of memcached can take longer than the usual 200 ms. The
	// sidecar would then fetch from stable_token and write the entry at its next poll:
	// right, but another story than these tests tell.
	m.Environ = append(m.Environ, "MEMCACHED_SERVERS="+m.memcached.Address, "MEMCACHED_TIMEOUT=2s", "WECHAT_TIMEOUT=10s")
	var err error
	m.reader, err = client.New(client.Config{AppID: appID, Servers: []string{m.memcached.Address}, Sidecar: "unix://" + m.Socket})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.reader.Close()) })
	m.printIfFailed(t)
	return m
}

// printer is what one program printed, under its name.
type printer struct {
	name   string
	output func() string
}

// printIfFailed logs what the test did, and at the end of a test that failed what
// every program printed, without secrets. It is called before the programs start, so
// that they have ended by then.
func (m *migration) printIfFailed(t *testing.T) {
	t.Helper()
	m.WeChat.OnCall(func(c wechattest.Call) wechattest.Answer {
		m.step(t, "request %d to WeChat, %s", c.N, c.API)
		return wechattest.Answer{}
	})
	t.Cleanup(func() {
		m.WeChat.OnCall(nil)
		if !t.Failed() {
			return
		}
		for i, p := range m.started {
			t.Logf("output of program %d, %s:\n%s", i, p.name, programtest.Redact(p.output()))
		}
	})
}

// step logs a step of the test, with the wall clock that the logs of the sidecars have.
func (m *migration) step(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf(time.Now().Format(time.TimeOnly+".000")+" "+format, args...)
}

// oldProgram is testdata/oldprogram.php while it runs.
type oldProgram struct {
	name string
	in   io.WriteCloser
	out  *bufio.Scanner
}

// program starts one. tokens is the address where it fetches.
func (m *migration) program(t *testing.T, keep, tokens, secret string, environ ...string) *oldProgram {
	t.Helper()
	php, err := exec.LookPath("php")
	require.NoError(t, err, "php is not installed: run make setup")
	// 24575 is all but deprecations: pecl-memcache's own connect makes one on PHP 8.2.
	command := exec.Command(php, "-d", "error_reporting=24575", "-d", "display_errors=stderr", filepath.Join("testdata", "oldprogram.php"), keep, tokens, m.WeChatURL)
	command.Env = append([]string{"APPID=" + appID, "APPSECRET=" + secret, "MEMCACHED=" + m.memcached.Address}, environ...)
	in, lines, complaints := converse(t, command)
	m.started = append(m.started, printer{"php " + keep, complaints.String})
	return &oldProgram{keep, in, lines}
}

// everybody makes a request, at once and after the grace.
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
				m.dead = append(m.dead, p.name+": "+p.out.Text())
			}
		}
		if m.sidecar != nil {
			m.requests++
			token, err := m.reader.AccessToken(t.Context())
			require.NoError(t, err)
			m.step(t, "the program that has moved read %s, which WeChat answers with %d", memcache.Fingerprint(token), m.WeChat.Accepts(token))
			if m.WeChat.Accepts(token) != 0 {
				m.dead = append(m.dead, "the program that has moved")
			}
		}
		m.ahead.Add(int64(grace + time.Second))
	}
}

// beside starts the sidecar, or starts it again with other variables.
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

// calls are those of the API that the programs use.
func (m *migration) calls() int { return m.WeChat.Calls(appID, "token") }

func (m *migration) noneWasDead(t *testing.T) {
	t.Helper()
	assert.Empty(t, m.dead, "of %d requests", m.requests)
	t.Logf("%d requests, %d with a dead token; %d calls of /cgi-bin/token, %d of /cgi-bin/stable_token",
		m.requests, len(m.dead), m.calls(), m.WeChat.Calls(appID, "stable_token"))
}

// Programs that share memcached move to the sidecar and never use an invalid token.
func TestMigration_MemcacheVariant(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	for range 2 {
		m.programs = append(m.programs, m.program(t, "memcache", m.WeChatURL, testSecret))
	}
	m.everybody(t)
	require.Equal(t, 1, m.calls(), "they share memcached")

	m.beside(t, "stable_token")
	eventually(t, func() bool { return programtest.Entry(t, m.memcached.store) == m.LastToken() }, "the entry is the sidecar's")
	m.everybody(t)
	m.beside(t, "token")
	m.everybody(t)
	assert.Equal(t, 1, m.calls(), "nobody fetches any more")

	// What the variant does after an error of WeChat.
	m.step(t, "the entry is damaged")
	require.Equal(t, "STORED", m.memcached.Ask(t, "set "+appID+" 1 3600 2\r\nN;"))
	require.Eventually(t, func() bool { return programtest.Entry(t, m.memcached.store) == m.LastToken() }, 3*patience, often, "a poll repairs it")
	m.everybody(t)
	m.noneWasDead(t)
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
	before := m.calls()
	m.beside(t, "token", compat...)
	m.everybody(t)
	assert.Equal(t, before, m.calls(), "nobody fetches any more")
	m.noneWasDead(t)
}

// Why the recipe begins with stable_token: this is the other order.
func TestMigration_RealTimeVariantClassicFirst(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	m.programs = []*oldProgram{m.program(t, "realtime", m.WeChatURL, testSecret), m.program(t, "realtime", m.WeChatURL, testSecret)}
	m.beside(t, "token")
	m.everybody(t)
	assert.NotEmpty(t, m.dead, "the programs' fetches killed the sidecar's token")
	for _, who := range m.dead {
		assert.True(t, strings.HasPrefix(who, "the program that has moved"), who)
	}
}
