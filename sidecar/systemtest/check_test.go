package systemtest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// checked is a set-up that sidecar check looks at: a fake WeChat, real memcacheds, and no
// sidecar.
type checked struct {
	*programtest.Backends
	memcached [2]*realmemcached.Server
}

func newChecked(t *testing.T) *checked {
	t.Helper()
	c := &checked{Backends: programtest.NewBackends(t)}
	for i := range c.memcached {
		c.memcached[i] = realmemcached.Start(t, "")
	}
	c.Environ = append(c.Environ, "MEMCACHED_SERVERS="+c.memcached[0].Address+","+c.memcached[1].Address)
	return c
}

// check runs the command with more variables.
func (c *checked) check(t *testing.T, more ...string) (exit int, stdout string) {
	t.Helper()
	exit, stdout = runCLI(t, append(c.Environ[:len(c.Environ):len(c.Environ)], more...), "check")
	t.Logf("%s\nexit code %d", stdout, exit)
	programtest.AssertNoCanary(t, stdout)
	return exit, stdout
}

// A healthy set-up with a sidecar that runs has no failing line. Nothing is written, and the
// sidecar's token stays valid.
func TestCheck_Healthy(t *testing.T) {
	t.Parallel()
	c := newChecked(t)
	file := filepath.Join(t.TempDir(), "access_token.json")
	c.Environ = append(c.Environ, "MIRROR_FILE="+file)
	exit, stdout := c.check(t)
	assert.Equal(t, exitFine, exit)
	assert.Regexp(t, `(?m)^unknown  running sidecar `, stdout, "before a rollout")
	assert.NoFileExists(t, file)
	assert.Zero(t, c.WeChat.Issues(""))

	spawn(t, c.Environ)
	ready(t, c.Ops)
	exit, stdout = c.check(t)
	assert.Equal(t, exitFine, exit)
	for _, line := range []string{
		`configuration .* no errors`,
		`memcached ` + c.memcached[0].Address + ` +answers, without TLS and authentication; version 1\.`,
		`memcached ` + c.memcached[1].Address + ` +0 % of 16 MB used, nothing evicted`,
		`keys +those of ` + appID + ` are on 127\.0\.0\.1:\d+ by MEMCACHED_HASH=ketama`,
		`WeChat 127\.0\.0\.1:\d+ +reached`,
		`AppSecret of ` + appID + ` +verified, from WECHAT_APPSECRET`,
		`egress IP +accepted by WeChat`,
		`mirror file +can be written`,
		`running sidecar +.*: 1 of 1 credentials are valid`,
	} {
		assert.Regexp(t, `(?m)^ok +`+line, stdout)
	}
	assert.Contains(t, stdout, " ok, 0 failing, 0 unknown\n")
	assert.Zero(t, c.WeChat.Accepts(c.LastToken()))
	assert.Equal(t, 2, c.WeChat.Verifications())
	assert.Equal(t, 1, c.WeChat.Requests("", ""), "the sidecar's")

	exit, stdout = runCLI(t, c.Environ, "check", "--json")
	assert.Equal(t, exitFine, exit)
	var read struct {
		Failing, Unknown int
		Checks           []struct{ Check, Outcome, Found string }
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &read))
	assert.Zero(t, read.Failing+read.Unknown)
	assert.Greater(t, len(read.Checks), 9)
}

// Each broken set-up has its lines, and what to do. Only a failing one exits with 1.
func TestCheck_Broken(t *testing.T) {
	t.Parallel()
	failing := func(lines ...string) []string { return append([]string{"failing"}, lines...) }
	for name, b := range map[string]struct {
		breaks func(t *testing.T, c *checked) (variables []string)
		lines  []string // the first is the worst outcome
	}{
		"a wrong AppSecret": {func(*testing.T, *checked) []string {
			return []string{"WECHAT_APPSECRET=" + strings.Repeat("f", 32)}
		}, failing(`failing +AppSecret of `+appID+` +errcode 40125: invalid appsecret`, `→ check AppID and AppSecret, `)},
		"off the whitelist": {func(_ *testing.T, c *checked) []string {
			c.WeChat.FailAll(40164)
			return nil
		}, failing(`unknown +AppSecret of .* errcode 40164: WeChat does not accept the IP of this machine`, `failing +egress IP +WeChat sees 1\.2\.3\.4, which is not on the whitelist of `+appID, `→ add the address 1\.2\.3\.4 to`)},
		"WeChat is busy": {func(_ *testing.T, c *checked) []string {
			c.WeChat.FailAll(-1)
			return nil
		}, []string{"unknown", `unknown +AppSecret of .*errcode -1`}},
		"memcached is down": {func(_ *testing.T, c *checked) []string {
			c.memcached[1].Kill()
			return nil
		}, failing(`failing +memcached .*connection refused`, `→ .*MEMCACHED_SERVERS`)},
		"memcached does not evict": {func(t *testing.T, _ *checked) []string {
			t.Helper()
			return []string{"MEMCACHED_SERVERS=" + realmemcached.Start(t, "", "-M").Address}
		}, []string{"unknown", `unknown +memcached .*it does not evict \(-M\)`}},
		"memcached evicts": {func(t *testing.T, _ *checked) []string {
			t.Helper()
			return []string{"MEMCACHED_SERVERS=" + fullMemcached(t).Address}
		}, []string{"unknown", `unknown +memcached .*; \d+ values were evicted, and tokens can be among them`}},
		"memcached is full": {func(t *testing.T, _ *checked) []string {
			t.Helper()
			return []string{"MEMCACHED_SERVERS=" + fullMemcached(t, "-M").Address}
		}, failing(`failing +memcached .*it does not evict \(-M\): it has refused [1-9]\d* values`)},
		"memcached without CAS": {func(t *testing.T, _ *checked) []string {
			t.Helper()
			return []string{"MEMCACHED_SERVERS=" + realmemcached.Start(t, "", "-C").Address}
		}, failing(`failing +memcached .*without compare-and-swap`)},
		"WeChat cannot be reached": {func(*testing.T, *checked) []string {
			return []string{"WECHAT_BASE_URL=https://wechat.invalid,http://127.0.0.1:1"}
		}, failing(`failing +WeChat wechat\.invalid +.*no such host`, `failing +WeChat 127\.0\.0\.1:1 +.*connection refused`, `unknown +AppSecret of `+appID+` +not verified: WeChat was not reached`)},
		"an AppSecret that cannot be read": {func(t *testing.T, _ *checked) []string {
			t.Helper()
			dir := t.TempDir()
			programtest.WriteFile(t, filepath.Join(dir, "wx00000000000000aa"), " ")
			programtest.WriteFile(t, filepath.Join(dir, "README"), "see the wiki")
			return []string{"WECHAT_ACCOUNTS_DIR=" + dir}
		}, failing(`failing +AppSecret of wx00000000000000aa +it cannot be read: .*the secret is empty`, `unknown +configuration +the file .*README is ignored`, `ok +AppSecret of `+appID)},
		"a wrong configuration": {func(*testing.T, *checked) []string {
			return []string{"WECHAT_APPID=" + strings.Repeat("0", 32), "MEMCACHED_HASH=crc", "MIRROR_FILE=relative", "SIDECAR_LISTNE=x"}
		}, failing(`failing +configuration +WECHAT_APPID: .*AppSecret, not an AppID`, `failing +configuration +MEMCACHED_HASH: unknown hash`, `failing +configuration +MIRROR_FILE: is not an absolute path`, `unknown +configuration +SIDECAR_LISTNE: unknown variable`, `ok +WeChat `)},
		"a database that is down": {func(*testing.T, *checked) []string {
			return []string{"MIRROR_MYSQL_DSN=u:canarysecret@tcp(127.0.0.1:1)/db?tls=false"}
		}, failing(`failing +mirror mysql +.*connection refused`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChecked(t)
			stdout := c.finds(t, b.lines, b.breaks(t, c)...)
			assert.NotContains(t, stdout, strings.Repeat("0", 32))
			assert.NotContains(t, stdout, fmt.Sprint(strings.Repeat("f", 32)))
		})
	}
}

// finds runs the command, which finds these lines: the first is the worst outcome.
func (c *checked) finds(t *testing.T, lines []string, more ...string) (stdout string) {
	t.Helper()
	exit, stdout := c.check(t, more...)
	if lines[0] == "failing" {
		assert.Equal(t, exitFailed, exit)
	} else {
		assert.Equal(t, exitFine, exit)
		assert.Contains(t, stdout, " 0 failing")
	}
	for _, line := range lines[1:] {
		assert.Regexp(t, `(?m)^ *`+line, stdout)
	}
	return stdout
}

// fullMemcached starts a memcached that got more values than it can keep.
func fullMemcached(t *testing.T, args ...string) *realmemcached.Server {
	t.Helper()
	m := realmemcached.Start(t, "", append(args, "-m", "8")...)
	value := strings.Repeat("x", 400_000)
	for i := range 40 {
		m.Ask(t, fmt.Sprintf("set k%d 0 0 %d\r\n%s", i, len(value), value))
	}
	return m
}

// A sidecar that runs says what fails there.
func TestCheck_RunningSidecarFails(t *testing.T) {
	t.Parallel()
	c := newChecked(t)
	c.WeChat.FailAll(40001)
	spawn(t, c.Environ)
	var stdout string
	eventually(t, func() bool {
		var exit int
		exit, stdout = runCLI(t, c.Environ, "check")
		return exit == exitFailed && strings.Contains(stdout, "it is not ready") && strings.Contains(stdout, "access_token of "+appID+": errcode 40001")
	}, "the sidecar's failure")
	assert.Regexp(t, `(?m)^failing +running sidecar +access_token of `+appID+`: errcode 40001: `, stdout)
}
