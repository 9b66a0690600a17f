package systemtest

import (
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// With WECHAT_QUOTA, page, status and metrics have WeChat's own count. Without it, they do
// not, and WeChat is not asked.
func TestQuota_OnPageStatusAndMetrics(t *testing.T) {
	t.Parallel()
	on, off := programtest.NewBackends(t), programtest.NewBackends(t)
	spawn(t, append(on.Environ, "WECHAT_QUOTA=true"))
	spawn(t, off.Environ)
	ready(t, on.Ops)
	ready(t, off.Ops)
	var read status.Sidecar
	require.Eventually(t, func() bool {
		read = status.Sidecar{}
		return json.Unmarshal([]byte(get(t, "http://"+on.Ops+"/status.json")), &read) == nil && read.Credentials[0].Quota != nil
	}, time.Minute, 100*time.Millisecond, "a reading")
	q := *read.Credentials[0].Quota
	assert.Equal(t, status.Quota{At: q.At, Used: 1, Limit: 2000}, q)
	assert.WithinDuration(t, time.Now(), q.At, patience)
	assert.Contains(t, get(t, "http://"+on.Ops+"/?lang=en"), "1 of 2000 requests today")
	metrics := get(t, "http://"+on.Ops+"/metrics")
	assert.Contains(t, metrics, `wxsidecar_quota_used{appid="`+appID+`",kind="access_token"} 1`)
	assert.Contains(t, metrics, `wxsidecar_quota_readings_total{result="counted"} 1`)
	exit, stdout := runCLI(t, on.Environ, "status")
	assert.Equal(t, exitFine, exit)
	assert.Contains(t, stdout, "  WeChat's count: 1 of 2000 today; by other programs: unknown; ")

	assert.Zero(t, off.WeChat.Checks())
	assert.NotContains(t, get(t, "http://"+off.Ops+"/metrics"), "quota")
}

// sidecar quota prints WeChat's count. If WeChat refuses the token, it is reported, and the
// request repeated.
func TestQuota_PrintsTheCount(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	spawn(t, w.Environ)
	ready(t, w.Ops)
	exit, stdout := runCLI(t, w.Environ, "quota")
	assert.Equal(t, exitFine, exit)
	assert.Regexp(t, `^APPID +API +TODAY +LIMIT +LEFT +BY OTHER PROGRAMS\n`+appID+` +token +1 +2000 +1999 +unknown\n$`, stdout)
	w.WeChat.FetchExternally(appID)
	w.WeChat.FetchExternally(appID)
	exit, stdout = runCLI(t, w.Environ, "quota", appID)
	assert.Equal(t, exitFine, exit)
	assert.Regexp(t, `\n`+appID+` +token +4 +2000 +1996 +unknown\n$`, stdout, "the report caused a renewal")
	assert.Zero(t, w.WeChat.Accepts(w.LastToken()))
	programtest.AssertNoCanary(t, stdout)
}

// Wrong arguments and a wrong configuration are named. One account that fails does not hide
// the others.
func TestQuota_WrongArguments(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	dir := t.TempDir()
	other := "wx00000000000000aa"
	programtest.WriteFile(t, filepath.Join(dir, other), testSecret)
	spawn(t, w.Environ)
	ready(t, w.Ops)
	two := slices.Concat(w.Environ, []string{"WECHAT_ACCOUNTS_DIR=" + dir})
	for _, c := range []struct {
		environ []string
		args    []string
		exit    int
		says    string
	}{
		{w.Environ, []string{"wxunknown"}, exitBadUsage, "the argument is not an AppID of this configuration"},
		{w.Environ, []string{strings.Repeat("0", 32)}, exitBadUsage, "the argument is not an AppID of this configuration"},
		{w.Environ, []string{appID, appID}, exitBadUsage, "too many arguments"},
		{nil, nil, exitBadUsage, "WECHAT_APPID: no account configured"},
		{two, []string{"clear", "--yes"}, exitBadUsage, "several accounts are configured; name one"},
		{two, nil, exitFailed, other + ": client: get access_token"},
	} {
		p := spawn(t, c.environ, append([]string{"quota"}, c.args...)...)
		assert.Equal(t, c.exit, p.Ends(t, 2*patience), c.says)
		assert.Contains(t, p.Stderr.String(), c.says)
		assert.NotContains(t, p.Stderr.String(), strings.Repeat("0", 32))
		if c.exit == exitFailed {
			assert.Regexp(t, appID+` +token +1 +2000 +1999`, p.Stdout.String())
		}
	}
	assert.Zero(t, w.WeChat.Clears(appID))
}

// sidecar quota clear resets WeChat's counts after a question, ten times a month.
func TestQuota_ClearAsks(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	reset := func(stdin string, args ...string) *process {
		p := spawn(t, w.Environ, append([]string{"quota", "clear"}, args...)...)
		_, _ = io.WriteString(p.Stdin.(io.Writer), stdin) // it may have ended
		_ = p.Stdin.Close()
		p.Ends(t, patience)
		return p
	}
	for _, no := range []string{"", "\n", "no\n", "y\n", "yes please\n"} {
		p := reset(no)
		assert.Equal(t, exitFailed, p.Command.ProcessState.ExitCode(), "%q", no)
		assert.Contains(t, p.Stdout.String(), "ten times a month, by all programs together. Type yes to continue: ")
		assert.Contains(t, p.Stderr.String(), "nothing was reset; a script needs --yes")
	}
	assert.Zero(t, w.WeChat.Clears(appID))
	for n, p := range []*process{reset("yes\n"), reset("yes\n", appID), reset("", "--yes"), reset("", "--yes", appID), reset("", appID, "--yes")} {
		assert.Equal(t, exitFine, p.Command.ProcessState.ExitCode(), n)
		assert.Contains(t, p.Stdout.String(), "WeChat counts the requests of "+appID+" from 0 again.\n")
		assert.Empty(t, p.Stderr.String())
	}
	assert.Equal(t, 5, w.WeChat.Clears(appID))
	for range 5 {
		reset("", "--yes")
	}
	p := reset("", "--yes")
	assert.Equal(t, exitFailed, p.Command.ProcessState.ExitCode())
	assert.Contains(t, p.Stderr.String(), "errcode 48006: forbid to clear quota because of reaching the limit")
	assert.Contains(t, p.Stderr.String(), "this month's ten resets")
	p = spawn(t, append(w.Environ, "WECHAT_APPSECRET="+strings.Repeat("f", 32)), "quota", "clear", "--yes")
	assert.Equal(t, exitFailed, p.Ends(t, patience))
	assert.Contains(t, p.Stderr.String(), "errcode 40125")
	assert.NotContains(t, p.Stderr.String(), strings.Repeat("f", 32))
}

// After a reset, a sidecar that waited for the day's quota renews within two polls.
func TestQuota_ClearEndsTheWait(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	w.WeChat.SetDailyQuota(0)
	spawn(t, w.Environ)
	eventually(t, func() bool { return w.WeChat.Requests("", "") == 1 }, "a request")
	eventually(t, func() bool {
		p := spawn(t, w.Environ, "status")
		p.Ends(t, patience)
		return strings.Contains(p.Stdout.String(), "next attempt in 59 min")
	}, "the wait")
	w.WeChat.SetDailyQuota(2000)
	p := spawn(t, w.Environ, "quota", "clear", "--yes")
	assert.Equal(t, exitFine, p.Ends(t, patience), p.Stderr.String())
	require.Eventually(t, func() bool { return w.WeChat.Issues(appID) == 1 }, 3*patience, often, "a token, after one poll")
}
