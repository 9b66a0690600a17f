package memcache_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

// server is a memcached under test, and a Store on it.
type server struct {
	*memcache.Store
	t       *testing.T
	slot    *memcache.Slot
	config  memcache.Config
	dial    func() (net.Conn, error)
	restart func(t *testing.T)
}

// servers are the fake, over TCP and in memory, and the real memcached.
var servers = map[string]func(t *testing.T) *server{
	"fake over TCP":      startTCP,
	"fake over net.Pipe": startPipe,
	"real memcached":     startReal,
}

// onEach runs a test against each server, a fresh one for every test.
func onEach(t *testing.T, test func(s *server)) {
	t.Helper()
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.config.Timeout = 10 * time.Second // for a loaded machine
			s.Store = open(t, s.config)
			s.t, s.slot = t, slotOf(t, s.Store)
			test(s)
		})
	}
}

// open returns a Store that is closed with the test.
func open(t *testing.T, config memcache.Config) *memcache.Store {
	t.Helper()
	store := must(memcache.New(config))(t)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// must returns v, or ends the test if err is not nil.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}

// slotOf returns the Slot of wx1's access_token.
func slotOf(t *testing.T, store *memcache.Store) *memcache.Slot {
	t.Helper()
	slot := must(store.Slot("wx1", memcache.AccessToken))(t)
	return slot
}

// fixture is a fake in memory: for faults, and for virtual time. Inside a bubble it must
// be made there.
type fixture struct {
	*memcachetest.Server
	store *memcache.Store
	slot  *memcache.Slot
}

func setup(t *testing.T) *fixture {
	t.Helper()
	fake := memcachetest.New()
	store := open(t, memcache.Config{Dial: fake.Dial})
	t.Cleanup(func() { assert.NoError(t, fake.Close()) })
	return &fixture{fake, store, slotOf(t, store)}
}

func startPipe(t *testing.T) *server {
	t.Helper()
	fake := memcachetest.New()
	t.Cleanup(func() { assert.NoError(t, fake.Close()) })
	return &server{
		config:  memcache.Config{Dial: fake.Dial},
		dial:    func() (net.Conn, error) { return fake.Dial(t.Context(), "tcp", "memcached:11211") },
		restart: func(*testing.T) { fake.Restart() },
	}
}

func startTCP(t *testing.T) *server {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	fake := memcachetest.New()
	ended := make(chan error, 1)
	go func() { ended <- fake.Serve(l) }()
	t.Cleanup(func() {
		assert.NoError(t, fake.Close())
		assert.NoError(t, <-ended)
	})
	s := at(l.Addr().String())
	s.restart = func(*testing.T) { fake.Restart() }
	return s
}

// at is a server that is reached over TCP.
func at(address string) *server {
	return &server{
		config: memcache.Config{Servers: []string{address}},
		dial:   func() (net.Conn, error) { return net.Dial("tcp", address) },
	}
}

func startReal(t *testing.T) *server {
	t.Helper()
	m := realmemcached.Start(t, "", "-t", "1")
	s := at(m.Address)
	s.restart = m.Restart
	return s
}

// say sends text over its own connection, and returns the whole answer.
func (s *server) say(t *testing.T, text string) string {
	t.Helper()
	conn := must(s.dial())(t)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	wrote := make(chan struct{})
	go func() { // a pipe has no buffer: the answer must be read meanwhile
		defer close(wrote)
		_, _ = io.WriteString(conn, text+"mn\r\n") // the no-op marks the end
	}()
	defer func() { <-wrote }()
	var got []byte
	buf := make([]byte, 64<<10)
	for !bytes.HasSuffix(got, []byte("MN\r\n")) {
		n := must(conn.Read(buf))(t)
		got = append(got, buf[:n]...)
	}
	return strings.TrimSuffix(string(got), "MN\r\n")
}

// put stores a value as another client does.
func (s *server) put(t *testing.T, key, value string, flags int) {
	t.Helper()
	require.Equal(t, "STORED\r\n", s.say(t, fmt.Sprintf("set %s %d 3600 %d\r\n%s\r\n", key, flags, len(value), value)))
}

// remove deletes a value, as memcached does when memory runs out.
func (s *server) remove(t *testing.T, key string) {
	t.Helper()
	require.Equal(t, "DELETED\r\n", s.say(t, "delete "+key+"\r\n"))
}

// item is an item with its flags and its remaining seconds.
type item struct {
	value       string
	flags, left int
	cas         uint64
}

// peek reads an item with mg.
func (s *server) peek(t *testing.T, key string) (i item, there bool) {
	t.Helper()
	got := s.say(t, "mg "+key+" v f t c\r\n")
	if got == "EN\r\n" {
		return item{}, false
	}
	line, rest, found := strings.Cut(got, "\r\n")
	require.True(t, found)
	var size int
	_, err := fmt.Sscanf(line, "VA %d f%d t%d c%d", &size, &i.flags, &i.left, &i.cas)
	require.NoError(t, err, line)
	require.Len(t, rest, size+2)
	i.value = rest[:size]
	return i, true
}

// assertItem asserts a value with flags 0 and an exptime that was just written.
// memcached's clock can have ticked once since.
func (s *server) assertItem(t *testing.T, key, value string, exptime int) {
	t.Helper()
	i, there := s.peek(t, key)
	require.True(t, there, "missing")
	assert.Equal(t, value, i.value)
	assert.Zero(t, i.flags, "PHP reads flags 0 as the plain string")
	assert.InDelta(t, float64(exptime)-0.5, i.left, 0.5, "seconds left")
}
