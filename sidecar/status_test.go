package main

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// If all accounts are healthy, status prints a table and ends with 0.
func TestStatus_HealthyAccount(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	start(t, w.Environ)
	eventually(t, func() bool { return programtest.Entry(t, w.Store(t)) != "" }, "a token")
	exit, stdout, stderr := runCLI(t, w.Environ, "status")
	assert.Equal(t, exitFine, exit, stdout)
	assert.Empty(t, stderr)
	assert.Contains(t, stdout, "memcached answers ("+w.MemcachedAddress+")\n")
	assert.Regexp(t, `(?m)^STATE +APPID +KIND +TOKEN +AGE +LEFT +NEXT RENEWAL +RENEWED BY +TODAY$`, stdout)
	assert.Regexp(t, `(?m)^ok +`+appID+` +access_token +[0-9a-f]{8} +\d s +(2 h|1 h 59 min) +in (54|55) min +\S+ +1 renewed, 0 failed$`, stdout)
	programtest.AssertNoCanary(t, stdout)
}

// If an account fails, status prints the error with its hint and ends with 1.
func TestStatus_FailingAccount(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	w.WeChat.FailAll(40164)
	start(t, w.Environ)
	var stdout string
	eventually(t, func() bool {
		var exit int
		exit, stdout, _ = runCLI(t, w.Environ, "status")
		return exit == exitFailed && strings.Contains(stdout, "errcode")
	}, "a failed renewal")
	assert.Regexp(t, `(?m)^unavailable +`+appID+` +access_token +- +- +- +- +- +0 renewed, 1 failed\n  errcode 40164: invalid ip 1\.2\.3\.4`, stdout)
	assert.Regexp(t, `(?m)^  add the address 1\.2\.3\.4 to .*\n  failing for \d s, last attempt \d s ago, next attempt in (19|20) s$`, stdout)
}

// If the address is not a sidecar's, status says so.
func TestStatus_OtherServerAnswers(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	other := http.Server{Handler: http.NotFoundHandler()}
	served := make(chan error, 1)
	go func() { served <- other.Serve(listener) }()
	exit, _, stderr := runCLI(t, []string{"SIDECAR_OPS_LISTEN=" + listener.Addr().String()}, "status")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, stderr, "check that SIDECAR_OPS_LISTEN is the address of a sidecar")
	require.NoError(t, other.Close())
	assert.ErrorIs(t, <-served, http.ErrServerClosed)
}

// Failing accounts are first, and control characters are replaced.
func TestPrintStatus_FailingFirst(t *testing.T) {
	t.Parallel()
	now, external := time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC), 5
	var out strings.Builder
	require.NoError(t, printStatus(&out, status.Sidecar{
		Name: "pod\x1b[2J", Version: "v0.1.0", Now: now, Started: now.Add(-123 * time.Minute),
		Notes:     []hint.Note{{Code: "x", Text: hint.Hint{English: "a fact\x1b[2J"}, Hint: hint.Hint{English: "do it"}}},
		Memcached: status.Memcached{Servers: []string{"m:11211"}, DownSince: now.Add(-3 * time.Minute), Error: "connection\rrefused", Hint: hint.Hint{English: "check it"}},
		Credentials: []status.Credential{
			{
				AppID: "wx1", Kind: "access_token", State: status.OK, Valid: true, Fingerprint: "9f86d081", RenewedBy: "a\tb\n\x1b[31m",
				AgeSeconds: 120, ExpiresInSeconds: 7080, RenewalInSeconds: -90, Today: status.Day{Requests: 2, Renewals: 2},
				Quota: &status.Quota{At: now.Add(-12 * time.Minute), Used: 36, Limit: 2000, External: &external, Since: now.Add(-70 * time.Minute)},
			},
			{
				AppID: "wx2", Kind: "access_token", State: status.Unavailable, Today: status.Day{Requests: 1, Failures: 1},
				Error: &status.Error{Code: 40164, Message: "invalid\x07 ip", Hint: hint.Hint{English: "add it"}, Since: now.Add(-3 * time.Hour), At: now.Add(-12 * time.Second), RetryInSeconds: 42},
			},
		},
	}))
	assert.Equal(t, `pod�[2J, version v0.1.0, up 2 h 3 min
memcached has failed for 3 min (m:11211)
  connection�refused
  check it

note: a fact�[2J
  do it

STATE        APPID  KIND          TOKEN     AGE    LEFT        NEXT RENEWAL      RENEWED BY  TODAY
unavailable  wx2    access_token  -         -      -           -                 -           0 renewed, 1 failed
  errcode 40164: invalid� ip
  add it
  failing for 3 h, last attempt 12 s ago, next attempt in 42 s
ok           wx1    access_token  9f86d081  2 min  1 h 58 min  overdue by 1 min  a�b��[31m   2 renewed, 0 failed
  WeChat's count: 36 of 2000 today; by other programs: 5 in 58 min; 12 min ago
`, out.String())

	out.Reset()
	require.NoError(t, printStatus(&out, status.Sidecar{Now: now, Started: now, Memcached: status.Memcached{Up: true, Servers: []string{"off"}}}))
	assert.Contains(t, out.String(), "memcached is off: tokens are in this process alone\n")
	assert.NotContains(t, out.String(), "answers")

	out.Reset()
	require.NoError(t, printStatus(&out, status.Sidecar{Now: now, Started: now, Memcached: status.Memcached{Up: true}}))
	assert.Contains(t, out.String(), "no accounts configured: set WECHAT_APPID")
}
