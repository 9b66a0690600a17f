package memcachetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

// dialer connects to the memcached under test.
type dialer func(ctx context.Context) (net.Conn, error)

// targets are the fake over each kind of connection, and the real server.
var targets = map[string]func(t *testing.T) dialer{
	"fake over TCP":           startTCP,
	"fake over net.Pipe":      startPipe,
	"fake over a unix socket": startUnix,
	"fake inline":             startInline,
	"real memcached":          startReal,
}

// The fake answers every case as the real memcached does.
func TestConformance_Answers(t *testing.T) {
	t.Parallel()
	for name, start := range targets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dial := start(t)
			for _, c := range conformance {
				t.Run(c.name, func(t *testing.T) {
					s := newSession(t, dial)
					require.Equal(t, "OK\r\n", s.ask("flush_all\r\n"))
					s.play(c)
				})
			}
		})
	}
}

// Items live as long as in the real memcached. All run at the same time, or this would take
// a minute.
func TestConformance_Lifetimes(t *testing.T) {
	t.Parallel()
	type life struct {
		*session
		lifetime
		where string
		began time.Time
	}
	var lives []life
	for name, start := range targets {
		s := newSession(t, start(t))
		for _, c := range lifetimes {
			began := time.Now()
			for _, st := range c.steps {
				s.match(name+": "+st.send, st.want, s.ask(s.fill(st.send)))
			}
			lives = append(lives, life{s, c, name, began})
		}
	}
	const slack = 100 * time.Millisecond // the real clock's tick can be late
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(lives) > 0 {
		<-tick.C
		lives = slices.DeleteFunc(lives, func(l life) bool {
			before := time.Since(l.began)
			there := strings.Contains(l.ask("get "+l.key+"\r\n"), "VALUE")
			most := time.Duration(l.life) * time.Second
			if there {
				// The request was not sent earlier than before, so it can have expired.
				return !assert.LessOrEqual(t, before, most+slack, "%s, %s: lives too long", l.where, l.name)
			}
			assert.GreaterOrEqual(t, time.Since(l.began), most-time.Second-slack, "%s, %s: gone too early", l.where, l.name)
			return true
		})
	}
}

func startPipe(t *testing.T) dialer {
	t.Helper()
	server := memcachetest.New()
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	return func(ctx context.Context) (net.Conn, error) { return server.Dial(ctx, "tcp", "memcached:11211") }
}

func startTCP(t *testing.T) dialer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serve(t, l)
}

// startInline is for a session, because that writes and reads at the same time.
func startInline(*testing.T) dialer {
	server := memcachetest.New()
	return func(context.Context) (net.Conn, error) {
		c, err := server.Inline()
		return &readAfterWrite{Conn: c, written: make(chan struct{}, 1)}, err
	}
}

// readAfterWrite is an inline connection whose Read waits for a Write.
type readAfterWrite struct {
	net.Conn
	written chan struct{}
	mu      sync.Mutex // guards Conn
}

func (c *readAfterWrite) Write(p []byte) (int, error) {
	defer func() {
		select {
		case c.written <- struct{}{}:
		default:
		}
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *readAfterWrite) Read(p []byte) (int, error) {
	for {
		c.mu.Lock()
		n, err := c.Conn.Read(p)
		c.mu.Unlock()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		<-c.written
	}
}

func startUnix(t *testing.T) dialer {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "m.sock"))
	require.NoError(t, err)
	return serve(t, l)
}

func serve(t *testing.T, l net.Listener) dialer {
	t.Helper()
	server := memcachetest.New()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		assert.NoError(t, <-ended)
	})
	return dialTo(l.Addr().Network(), l.Addr().String())
}

// startReal starts memcached with one thread. With more, stats can be answered before
// another thread has counted its write.
func startReal(t *testing.T) dialer {
	t.Helper()
	return dialTo("tcp", realmemcached.Start(t, "", "-t", "1").Address)
}

func dialTo(network, address string) dialer {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// session is a connection to one memcached, and the CAS ids it has seen.
type session struct {
	t    *testing.T
	dial dialer
	conn net.Conn
	seen map[string]string
}

func newSession(t *testing.T, dial dialer) *session {
	t.Helper()
	s := &session{t: t, dial: dial, seen: map[string]string{}}
	s.connect()
	t.Cleanup(func() { _ = s.conn.Close() })
	return s
}

func (s *session) connect() {
	s.t.Helper()
	conn, err := s.dial(s.t.Context())
	require.NoError(s.t, err)
	require.NoError(s.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	s.conn = conn
}

// ask sends text and returns the whole answer. A no-op after it marks the end of the
// answer. A closed connection shows as "(closed)" and is replaced.
func (s *session) ask(text string) string {
	s.t.Helper()
	const mark = "MN\r\n"
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = io.WriteString(s.conn, text+"mn\r\n")
	}()
	var got strings.Builder
	buf := make([]byte, 64<<10)
	for !strings.HasSuffix(got.String(), mark) {
		n, err := s.conn.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			require.NotErrorIs(s.t, err, os.ErrDeadlineExceeded, "answered so far: %.200q", got.String())
			_ = s.conn.Close()
			<-wrote
			s.connect()
			return got.String() + "(closed)"
		}
	}
	<-wrote
	return strings.TrimSuffix(got.String(), mark)
}

// play runs the steps of a case and compares the answers.
func (s *session) play(c exchange) {
	s.t.Helper()
	for i, st := range c.steps {
		send := s.fill(st.send)
		s.match(fmt.Sprintf("step %d, %.60q", i+1, send), st.want, s.ask(send))
	}
	var ids []uint64
	for _, name := range c.rising {
		id, err := strconv.ParseUint(s.seen[name], 10, 64)
		require.NoError(s.t, err, "CAS id %s", name)
		ids = append(ids, id)
	}
	assert.True(s.t, slices.IsSorted(ids) && len(slices.Compact(ids)) == len(c.rising), "CAS ids %v must rise: %v", c.rising, ids)
}

var hole = regexp.MustCompile(`\{[^{}]+\}`)

// fill replaces the placeholders of a request: {name} is a number seen before, {now-1} and
// {now+1000} are Unix times.
func (s *session) fill(send string) string {
	for name, value := range s.seen {
		send = strings.ReplaceAll(send, "{"+name+"}", value)
	}
	now := time.Now().Unix()
	send = strings.ReplaceAll(send, "{now-1}", strconv.FormatInt(now-1, 10))
	return strings.ReplaceAll(send, "{now+1000}", strconv.FormatInt(now+1000, 10))
}

// match compares an answer. In want, {name} is a number to store under that name, or the
// stored number; {a|b} is one of these; {…} is any word.
func (s *session) match(what, want, got string) {
	s.t.Helper()
	if !hole.MatchString(want) {
		if want != got { // it can be a megabyte, too long for assert.Equal
			assert.Failf(s.t, what, "want %.200q\ngot  %.200q", want, got)
		}
		return
	}
	var names []string
	var pattern strings.Builder
	for want != "" {
		at := hole.FindStringIndex(want)
		if at == nil {
			pattern.WriteString(regexp.QuoteMeta(want))
			break
		}
		pattern.WriteString(regexp.QuoteMeta(want[:at[0]]))
		name := strings.Trim(want[at[0]:at[1]], "{}")
		want = want[at[1]:]
		switch {
		case name == "…":
			pattern.WriteString(`\S+`)
		case strings.Contains(name, "|"):
			pattern.WriteString("(?:" + name + ")")
		case s.seen[name] != "":
			pattern.WriteString(s.seen[name])
		default:
			names = append(names, name)
			pattern.WriteString(`(\d+)`)
		}
	}
	found := regexp.MustCompile("^(?:" + pattern.String() + ")$").FindStringSubmatch(got)
	if !assert.NotNil(s.t, found, "%s:\nwant %s\ngot  %q", what, pattern.String(), got) {
		return
	}
	for i, name := range names {
		s.seen[name] = found[i+1]
	}
}
