package main

import (
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/names"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// A name with two memcacheds behind it gets a warning and a note that say what to do.
// /readyz stays 200.
func TestAddresses_SeveralBehindOneName(t *testing.T) { // not parallel: it replaces the process's resolver
	before, dns := net.DefaultResolver, names.New()
	net.DefaultResolver = dns.Resolver
	t.Cleanup(func() { net.DefaultResolver = before }) // after the program has ended
	dns.Set("memcached.example.test", "127.0.0.1", "127.0.0.2", "::1")
	w := programtest.NewBackends(t)
	_, port, _ := net.SplitHostPort(w.MemcachedAddress)
	server := "memcached.example.test:" + port
	environ := slices.Concat(w.Environ, []string{"MEMCACHED_SERVERS=" + server})
	r := start(t, environ)
	const what = "has 2 addresses: 127.0.0.1, 127.0.0.2"
	eventually(t, func() bool { return programtest.Entry(t, w.Store(t)) != "" }, "a token")

	const line = `"msg":"memcached name has several addresses"`
	assert.Equal(t, 1, strings.Count(r.stderr.String(), line), "once")
	assert.Contains(t, r.stderr.String(), `"server":"`+server+`","addresses":"127.0.0.1,127.0.0.2"`)
	assert.Contains(t, r.stderr.String(), "use a Service with a ClusterIP and one pod, or name each pod in MEMCACHED_SERVERS")
	for _, path := range []string{"/readyz", "/status.json", "/"} {
		body := get(t, "http://"+w.Ops+path)
		assert.True(t, path != "/readyz" || strings.HasPrefix(body, "ok\n"), body)
		assert.Contains(t, body, server+" "+what, path)
		assert.Contains(t, body, "Service with a ClusterIP and one pod", path)
	}
	exit, table, _ := runCLI(t, environ, "status")
	assert.Equal(t, exitFine, exit)
	assert.Contains(t, table, "note: the memcached server "+server+" "+what+"\n  sidecars and apps can use")
}

// The note ends when the name has one address again. Other addresses are logged again.
func TestAddresses_NoteEnds(t *testing.T) {
	t.Parallel()
	var out programtest.Output
	log, notes := slog.New(slog.NewTextHandler(&out, nil)), new(status.Notes)
	for _, c := range []struct {
		addresses    []string
		notes, lines int
	}{
		{[]string{"10.0.0.4", "10.0.0.5"}, 1, 1},
		{[]string{"10.0.0.4", "10.0.0.6"}, 1, 2},
		{nil, 0, 2},
		{[]string{"10.0.0.4", "10.0.0.6"}, 1, 3},
	} {
		noteAddresses(notes, log, "memcached:11211", c.addresses)
		assert.Len(t, notes.All(), c.notes)
		assert.Equal(t, c.lines, strings.Count(out.String(), "memcached name has several addresses"))
	}
}
