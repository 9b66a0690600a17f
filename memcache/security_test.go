package memcache_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

// secured returns the Security of a client that has the guard's files.
func secured(g *realmemcached.Guard) memcache.Security {
	return memcache.Security{TLS: true, CAFile: g.CAFile, AuthFile: g.AuthFile}
}

// file writes a file and returns its path.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// A client gets in with TLS and the password. Any other one gets an error with its cause,
// which says what to do.
func TestSecurity_EachMismatchHasItsCause(t *testing.T) {
	t.Parallel()
	guard, foreign, other, old := realmemcached.NewGuard(t), realmemcached.NewGuard(t), realmemcached.NewGuard(t), realmemcached.NewGuard(t)
	other.NewCertificate(t, net.IPv4(127, 0, 0, 2), time.Hour)
	old.NewCertificate(t, net.IPv4(127, 0, 0, 1), -time.Minute)
	plain := realmemcached.Start(t, "")
	password := realmemcached.StartGuarded(t, guard.Password()...)
	encrypted := realmemcached.StartGuarded(t, guard.TLS()...)
	both := realmemcached.StartGuarded(t, guard.Args()...)
	only := func(change func(s *memcache.Security)) memcache.Security {
		s := secured(guard)
		change(&s)
		return s
	}
	withoutTLS := memcache.Security{AuthFile: guard.AuthFile}
	withoutPassword := memcache.Security{TLS: true, CAFile: guard.CAFile}
	for name, c := range map[string]struct {
		server   *realmemcached.Server
		security memcache.Security
		cause    error
		says     string
	}{
		"right":                     {both, secured(guard), nil, ""},
		"right, password alone":     {password, withoutTLS, nil, ""},
		"right, TLS alone":          {encrypted, withoutPassword, nil, ""},
		"right, on the second line": {both, only(func(s *memcache.Security) { s.AuthFile = file(t, "user:canarysecret-0\n\n"+realmemcached.Users) }), nil, ""},
		"right, with more CAs": {both, only(func(s *memcache.Security) {
			s.CAFile = file(t, string(must(os.ReadFile(foreign.CAFile))(t))+string(must(os.ReadFile(guard.CAFile))(t)))
		}), nil, ""},
		"wrong password":     {both, only(func(s *memcache.Security) { s.AuthFile = file(t, "user:canarysecret-0") }), memcache.ErrPassword, "MEMCACHED_AUTH_FILE"},
		"two wrong ones":     {both, only(func(s *memcache.Security) { s.AuthFile = file(t, "a:canarysecret-0\nb:canarysecret-0") }), memcache.ErrPassword, "MEMCACHED_AUTH_FILE"},
		"wrong user":         {password, memcache.Security{AuthFile: file(t, "canarysecret:canarysecret-1")}, memcache.ErrPassword, "MEMCACHED_AUTH_FILE"},
		"no password":        {both, withoutPassword, memcache.ErrUnauthenticated, "set MEMCACHED_AUTH_FILE"},
		"wrong CA":           {both, only(func(s *memcache.Security) { s.CAFile = foreign.CAFile }), memcache.ErrCA, "set MEMCACHED_CA_FILE"},
		"the system's CAs":   {both, only(func(s *memcache.Security) { s.CAFile = "" }), memcache.ErrCA, "set MEMCACHED_CA_FILE"},
		"another name":       {realmemcached.StartGuarded(t, other.TLS()...), memcache.Security{TLS: true, CAFile: other.CAFile}, memcache.ErrCertificateName, "MEMCACHED_SERVERS"},
		"expired":            {realmemcached.StartGuarded(t, old.TLS()...), memcache.Security{TLS: true, CAFile: old.CAFile}, memcache.ErrCertificate, "renew it"},
		"plain to TLS":       {both, memcache.Security{}, memcache.ErrClosed, "set MEMCACHED_TLS=true"},
		"password to TLS":    {both, withoutTLS, memcache.ErrClosed, "set MEMCACHED_TLS=true"},
		"TLS to plain":       {plain, secured(guard), memcache.ErrNoTLS, "remove MEMCACHED_TLS"},
		"TLS to a password":  {password, secured(guard), memcache.ErrNoTLS, "remove MEMCACHED_TLS"},
		"client certificate": {realmemcached.StartGuarded(t, guard.TLS("ssl_verify_mode=2", "ssl_ca_cert="+guard.CAFile)...), withoutPassword, memcache.ErrHandshake, "ssl_verify_mode"},
		"no CA file":         {both, only(func(s *memcache.Security) { s.CAFile = "/nowhere/canarysecret" }), memcache.ErrFile, "MEMCACHED_CA_FILE: the file is unreadable: no such file"},
		"an empty password":  {both, only(func(s *memcache.Security) { s.AuthFile = file(t, "\n") }), memcache.ErrFile, "MEMCACHED_AUTH_FILE: the file is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t, memcache.Config{Servers: []string{c.server.Address}, Prefix: strings.ReplaceAll(name, " ", "-"), Timeout: 10 * time.Second, Security: c.security})
			if c.cause == nil {
				useAll(t, slotOf(t, store))
				return
			}
			for _, err := range []error{store.Ping(), func() error { _, err := slotOf(t, store).Get(); return err }()} {
				assertFailure(t, err)
				require.ErrorIs(t, err, c.cause)
				assert.Contains(t, err.Error(), c.says)
				assert.NotContains(t, err.Error(), "canarysecret")
				assert.True(t, memcache.Misconfigured(slotOf(t, store).Diagnose(t.Context(), err)))
			}
			found := store.Inspect(t.Context())[0]
			if errors.Is(c.cause, memcache.ErrClosed) {
				c.cause = memcache.ErrTLS // a second connection finds it out
			}
			require.ErrorIs(t, found.Err, c.cause)
		})
	}
}

// Each connection is authenticated once, before its first command, and then used again: a
// read stays one get.
func TestSecurity_ConnectionIsReused(t *testing.T) {
	t.Parallel()
	guard := realmemcached.NewGuard(t)
	m := realmemcached.StartGuarded(t, guard.Args()...)
	store := open(t, memcache.Config{Servers: []string{m.Address}, Timeout: 10 * time.Second, Security: secured(guard)})
	slot := slotOf(t, store)
	require.NoError(t, slot.PutEntry(memcache.Entry{}, token1, time.Hour))
	count := func() (connections, authentications, gets int) {
		stats := store.Inspect(t.Context())[0].Stats
		number := func(name string) int { return must(strconv.Atoi(stats[name]))(t) }
		return number("total_connections"), number("auth_cmds"), number("cmd_get")
	}
	_, _, _ = count()
	connections, authentications, gets := count()
	const reads = 50
	for range reads {
		require.Equal(t, token1, must(slot.Get())(t))
	}
	later, authenticated, got := count()
	assert.Equal(t, 2, later-connections, "those that Inspect opens for stats")
	assert.Equal(t, 2, authenticated-authentications)
	assert.Equal(t, reads, got-gets)
}

// A password and a CA are rotated without a restart of the client: the next connection has
// the new ones, and the open ones stay.
func TestSecurity_Rotation(t *testing.T) {
	t.Parallel()
	const rotated = "user:canarysecret-2\n"
	guard := realmemcached.NewGuard(t)
	own := memcache.Security{TLS: true, CAFile: file(t, string(must(os.ReadFile(guard.CAFile))(t))), AuthFile: file(t, realmemcached.Users)}
	m := realmemcached.StartGuarded(t, guard.Args()...)
	store := open(t, memcache.Config{Servers: []string{m.Address}, Timeout: 10 * time.Second, Security: own})
	require.NoError(t, store.Ping())

	realmemcached.Write(t, guard.AuthFile, []byte(rotated))
	m.Signal(syscall.SIGHUP) // memcached reads its file again within a second
	fresh := func() error {
		return open(t, memcache.Config{Servers: []string{m.Address}, Timeout: 10 * time.Second, Security: own}).Ping()
	}
	require.Eventually(t, func() bool { return fresh() != nil }, 10*time.Second, 50*time.Millisecond)
	require.ErrorIs(t, fresh(), memcache.ErrPassword)
	require.NoError(t, store.Ping(), "over the open connection")
	require.NoError(t, store.Close()) // its idle connections
	require.ErrorIs(t, store.Ping(), memcache.ErrPassword)
	require.NoError(t, os.WriteFile(own.AuthFile, []byte(realmemcached.Users+rotated), 0o600))
	require.NoError(t, store.Ping(), "two lines")
	require.NoError(t, store.Close())
	require.NoError(t, os.WriteFile(own.AuthFile, []byte(rotated), 0o600))
	require.NoError(t, store.Ping())

	guard.NewCertificate(t, net.IPv4(127, 0, 0, 1), time.Hour)
	m.Restart(t)
	require.ErrorIs(t, store.Ping(), memcache.ErrCA)
	require.NoError(t, os.WriteFile(own.CAFile, must(os.ReadFile(guard.CAFile))(t), 0o600))
	require.NoError(t, store.Ping())
}

// A memcached that demands no password does not keep it, where anybody could read it.
func TestSecurity_PasswordIsNotStored(t *testing.T) {
	t.Parallel()
	m := realmemcached.Start(t, "")
	store := open(t, memcache.Config{Servers: []string{m.Address}, Timeout: 10 * time.Second, Security: memcache.Security{AuthFile: file(t, realmemcached.Users)}})
	useAll(t, slotOf(t, store))
	assert.Equal(t, "END", m.Ask(t, "get auth"))
	assert.Equal(t, "no", store.Inspect(t.Context())[0].Settings["auth_enabled_ascii"], "what sidecar check warns of")
}

// silent returns a Dial whose server reads and never answers.
func silent() func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		return client, nil
	}
}

// TLS and the authentication end after a second, or after the timeout if it is longer. They
// are not tried twice, and a hang of the first read is not theirs.
func TestSecurity_SilentServer(t *testing.T) {
	t.Parallel()
	users, authority := file(t, realmemcached.Users), realmemcached.NewGuard(t).CAFile
	for name, security := range map[string]memcache.Security{
		"TLS": {TLS: true, CAFile: authority}, "password": {AuthFile: users}, "both": {TLS: true, CAFile: authority, AuthFile: users},
	} {
		for timeout, within := range map[time.Duration]time.Duration{0: time.Second, 100 * time.Millisecond: time.Second, 2 * time.Second: 2 * time.Second} {
			t.Run(name+" "+timeout.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					store := open(t, memcache.Config{Dial: silent(), Timeout: timeout, Security: security})
					began := time.Now()
					err := store.Ping()
					assertFailure(t, err)
					require.ErrorIs(t, err, memcache.ErrSilent)
					assert.Equal(t, within, time.Since(began))
				})
			})
		}
	}
}

// A handshake that takes longer than the timeout of one read succeeds, as on a busy machine.
func TestSecurity_SlowHandshake(t *testing.T) {
	t.Parallel()
	guard := realmemcached.NewGuard(t)
	certificate := guard.Certificate(t)
	synctest.Test(t, func(t *testing.T) {
		fake := memcachetest.New()
		defer func() { assert.NoError(t, fake.Close()) }()
		dials := 0
		slow := func(ctx context.Context, network, address string) (net.Conn, error) {
			dials++
			inner, err := fake.Dial(ctx, network, address)
			require.NoError(t, err)
			client, server := net.Pipe()
			go func() {
				time.Sleep(900 * time.Millisecond)
				outer := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
				go func() { _, _ = io.Copy(outer, inner) }()
				_, _ = io.Copy(inner, outer)
				_ = inner.Close()
			}()
			return client, nil
		}
		store := open(t, memcache.Config{Dial: slow, Timeout: memcache.DefaultTimeout, Security: secured(guard)})
		slot := slotOf(t, store)
		for range 10 {
			_, err := slot.Get()
			require.ErrorIs(t, err, memcache.ErrMiss)
		}
		assert.Equal(t, 1, dials)
		require.NoError(t, store.Close())
	})
}

// Check says what is wrong with each field, and quotes neither content nor path.
func TestSecurity_Check(t *testing.T) {
	t.Parallel()
	authority, users := realmemcached.NewGuard(t).CAFile, file(t, realmemcached.Users)
	fifo := filepath.Join(t.TempDir(), "canarysecret")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	for name, c := range map[string]struct {
		security memcache.Security
		server   string
		want     [3]string // of TLS, CAFile, AuthFile
	}{
		"nothing":              {},
		"all":                  {memcache.Security{TLS: true, CAFile: authority, AuthFile: users}, "m:1", [3]string{}},
		"two lines, CRLF":      {memcache.Security{AuthFile: file(t, " a:b \r\n\r\nc:d:e\r\n")}, "/run/m.sock", [3]string{}},
		"TLS on a socket":      {memcache.Security{TLS: true}, "/run/m.sock", [3]string{"a unix socket"}},
		"a CA without TLS":     {memcache.Security{CAFile: authority}, "m:1", [3]string{"", "TLS is off; set MEMCACHED_TLS=true"}},
		"files that are gone":  {memcache.Security{TLS: true, CAFile: "canarysecret", AuthFile: "canarysecret"}, "m:1", [3]string{"", "no such file", "no such file"}},
		"a FIFO":               {memcache.Security{TLS: true, CAFile: fifo, AuthFile: fifo}, "m:1", [3]string{"", "not a regular file", "not a regular file"}},
		"a folder":             {memcache.Security{AuthFile: filepath.Dir(fifo)}, "m:1", [3]string{"", "", "not a regular file"}},
		"empty files":          {memcache.Security{TLS: true, CAFile: file(t, ""), AuthFile: file(t, " \n")}, "m:1", [3]string{"", "no certificate", "is empty"}},
		"a password as CA":     {memcache.Security{TLS: true, CAFile: users}, "m:1", [3]string{"", "no certificate"}},
		"no colon":             {memcache.Security{AuthFile: file(t, "canarysecret\n")}, "m:1", [3]string{"", "", "not user:password"}},
		"no user":              {memcache.Security{AuthFile: file(t, ":canarysecret\n")}, "m:1", [3]string{"", "", "not user:password"}},
		"no password":          {memcache.Security{AuthFile: file(t, "canarysecret:\n")}, "m:1", [3]string{"", "", "not user:password"}},
		"a bad second line":    {memcache.Security{AuthFile: file(t, "a:b\ncanarysecret\n")}, "m:1", [3]string{"", "", "not user:password"}},
		"a space":              {memcache.Security{AuthFile: file(t, "a:canarysecret b\n")}, "m:1", [3]string{"", "", "a space"}},
		"three lines":          {memcache.Security{AuthFile: file(t, "a:b\nc:d\ne:f\n")}, "m:1", [3]string{"", "", "more than two lines"}},
		"a byte order mark":    {memcache.Security{AuthFile: file(t, "\ufeffa:canarysecret\n")}, "m:1", [3]string{"", "", "BOM"}},
		"UTF-16":               {memcache.Security{AuthFile: file(t, "\xff\xfea\x00:\x00b\x00")}, "m:1", [3]string{"", "", "UTF-16"}},
		"a file of 5 KB":       {memcache.Security{AuthFile: file(t, "a:"+strings.Repeat("x", 5000))}, "m:1", [3]string{"", "", "more than 4096 bytes"}},
		"more than one is bad": {memcache.Security{CAFile: "x", AuthFile: "x"}, "m:1", [3]string{"", "TLS is off", "no such file"}},
	} {
		var found [3]error
		found[0], found[1], found[2] = c.security.Check([]string{c.server})
		for i, want := range c.want {
			if want == "" {
				require.NoError(t, found[i], name)
				continue
			}
			require.ErrorContains(t, found[i], want, name)
			assert.Contains(t, found[i].Error(), "; ", name)
			assert.NotContains(t, found[i].Error(), "canarysecret", name)
		}
	}
}
