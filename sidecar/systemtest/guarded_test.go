package systemtest

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// wrongUsers is a file with a password that no memcached knows.
func wrongUsers(t *testing.T) string {
	t.Helper()
	return programtest.WriteFile(t, filepath.Join(t.TempDir(), "users"), "user:canarysecret-0\n")
}

// sidecar check says of a memcached with TLS and a password whether the configuration fits,
// and otherwise which variable to set.
func TestCheck_GuardedMemcached(t *testing.T) {
	t.Parallel()
	guard, foreign, other := realmemcached.NewGuard(t), realmemcached.NewGuard(t), realmemcached.NewGuard(t)
	other.NewCertificate(t, net.IPv4(127, 0, 0, 2), time.Hour)
	both, plain := realmemcached.StartGuarded(t, guard.Args()...).Address, realmemcached.Start(t, "").Address
	tls, ca, auth := "MEMCACHED_TLS=true", "MEMCACHED_CA_FILE="+guard.CAFile, "MEMCACHED_AUTH_FILE="+guard.AuthFile
	for name, c := range map[string]struct {
		server    string
		variables []string
		lines     []string
	}{
		"right": {both, []string{tls, ca, auth}, []string{"ok", `ok +memcached .* answers, with TLS and authentication; version 1\.`, `ok +memcached .* of 16 MB used`}},
		"right, TLS alone": {
			realmemcached.StartGuarded(t, guard.TLS()...).Address, []string{tls, ca}, []string{"ok", `ok +memcached .* answers, with TLS, without authentication`},
		},
		"right, password alone": {
			realmemcached.StartGuarded(t, guard.Password()...).Address, []string{auth}, []string{"ok", `ok +memcached .* answers, without TLS, with authentication`},
		},
		"wrong password": {
			both,
			[]string{tls, ca, "MEMCACHED_AUTH_FILE=" + wrongUsers(t)},
			[]string{"failing", `failing +memcached .* memcached refuses the user or the password`, `→ .*the file of MEMCACHED_AUTH_FILE`},
		},
		"no password": {both, []string{tls, ca}, []string{"failing", `failing +memcached .* demands a user and a password`, `→ .*set MEMCACHED_AUTH_FILE`}},
		"wrong CA": {
			both,
			[]string{tls, "MEMCACHED_CA_FILE=" + foreign.CAFile, auth},
			[]string{"failing", `failing +memcached .* signed by an unknown CA`, `→ set MEMCACHED_CA_FILE`},
		},
		"another name": {
			realmemcached.StartGuarded(t, other.TLS()...).Address,
			[]string{tls, "MEMCACHED_CA_FILE=" + other.CAFile},
			[]string{"failing", `failing +memcached .* certificate is for another name`, `→ use a name in MEMCACHED_SERVERS`},
		},
		"plain to TLS":       {both, nil, []string{"failing", `failing +memcached .* the server demands TLS`, `→ .*set MEMCACHED_TLS=true`}},
		"password to TLS":    {both, []string{auth}, []string{"failing", `failing +memcached .* the server demands TLS`, `→ .*set MEMCACHED_TLS=true`}},
		"TLS to plain":       {plain, []string{tls, ca, auth}, []string{"failing", `failing +memcached .* does not use TLS`, `→ .*remove MEMCACHED_TLS`}},
		"password to plain":  {plain, []string{auth}, []string{"unknown", `unknown +memcached .* demands no password`, `→ run it with -Y`}},
		"a CA without TLS":   {plain, []string{ca}, []string{"failing", `failing +configuration +MEMCACHED_CA_FILE: TLS is off`}},
		"a file that is not": {plain, []string{"MEMCACHED_AUTH_FILE=/nowhere"}, []string{"failing", `failing +configuration +MEMCACHED_AUTH_FILE: the file is unreadable`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &checked{Backends: programtest.NewBackends(t)}
			b.finds(t, c.lines, append([]string{"MEMCACHED_SERVERS=" + c.server}, c.variables...)...)
		})
	}
}

// A sidecar and an app use a memcached with TLS and a password. When both and the CA are
// replaced, neither is restarted. While they do not fit, the status page says why, and the
// app reads from the sidecar.
func TestSidecar_GuardedMemcached(t *testing.T) {
	t.Parallel()
	const rotated = "user:canarysecret-2\n"
	w, guard := programtest.NewBackends(t), realmemcached.NewGuard(t)
	folder := t.TempDir()
	ca, users := filepath.Join(folder, "ca"), programtest.WriteFile(t, filepath.Join(folder, "users"), realmemcached.Users)
	copyCA := func() { programtest.WriteFile(t, ca, fileText(t, guard.CAFile)) }
	copyCA()
	m := realmemcached.StartGuarded(t, guard.Args()...)
	environ := []string{"MEMCACHED_SERVERS=" + m.Address, "MEMCACHED_TLS=true", "MEMCACHED_CA_FILE=" + ca, "MEMCACHED_AUTH_FILE=" + users, "MEMCACHED_TIMEOUT=2s"}
	sidecar := spawn(t, append(w.Environ, environ...))
	ready(t, w.Ops)
	app := append(appEnviron(w), environ...)
	reads := func(source string) {
		t.Helper()
		p := spawn(t, app, "token", "--watch")
		eventually(t, func() bool { return strings.Contains(p.Stdout.String(), "from "+source) }, source)
		p.Kill()
	}
	reads("memcached")
	status := func() string { return get(t, "http://"+w.Ops+"/status.json") }
	assert.Contains(t, status(), `"memcached":{"up":true`)

	realmemcached.Write(t, guard.AuthFile, []byte(rotated))
	guard.NewCertificate(t, net.IPv4(127, 0, 0, 1), time.Hour)
	m.Restart(t) // empty, with the new certificate and password
	down := func(says string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(status(), says) }, 2*pollWithin, often, says)
		reads("sidecar")
	}
	down("signed by an unknown CA")
	copyCA()
	down("memcached refuses the user or the password")
	programtest.WriteFile(t, users, rotated)
	require.Eventually(t, func() bool { return strings.Contains(status(), `"memcached":{"up":true`) }, 2*pollWithin, often)
	reads("memcached")
	assert.Equal(t, 1, w.WeChat.Requests("", ""), "no renewal was needed")
	sidecar.Signal(syscall.SIGTERM)
	assert.Zero(t, sidecar.Ends(t, stopsWithin))
}

// pollWithin is the longest time between two polls.
const pollWithin = 15 * time.Second

// A wrong value of each variable is reported with the others, and nothing starts.
func TestSidecar_GuardedMemcachedMisconfigured(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	p := spawn(t, append(w.Environ, "MEMCACHED_TLS=yes", "MEMCACHED_CA_FILE=/nowhere", "MEMCACHED_AUTH_FILE=/nowhere", "MEMCACHED_TIMEOUT=1"))
	assert.Equal(t, exitBadUsage, p.Ends(t, patience))
	for _, variable := range []string{"MEMCACHED_TLS", "MEMCACHED_CA_FILE", "MEMCACHED_AUTH_FILE", "MEMCACHED_TIMEOUT"} {
		assert.Contains(t, p.Stderr.String(), "  "+variable+": ")
	}
	p = spawn(t, append(appEnviron(w), "MEMCACHED_TLS=yes", "MEMCACHED_CA_FILE=/nowhere", "MEMCACHED_AUTH_FILE=/nowhere"), "token")
	assert.Equal(t, exitBadUsage, p.Ends(t, patience))
	for _, variable := range []string{"MEMCACHED_TLS", "MEMCACHED_CA_FILE", "MEMCACHED_AUTH_FILE"} {
		assert.Contains(t, p.Stderr.String(), variable+": ")
	}
	require.NotContains(t, p.Stderr.String(), "/nowhere")
}
