package explore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// sidecar is one of the two, through all its processes.
type sidecar struct {
	world  *world
	name   string
	spread float64       // its first jitter
	draws  atomic.Int64  // how many jitters it drew
	skew   time.Duration // of its wall clock

	life *life // nil while it does not run

	stopped   time.Time     // since when it is stopped; zero: it runs
	phase     int           // how many of the phases of its stop have passed
	lastStop  time.Duration // how long its last stop was
	log       uint64        // a hash of what it did and saw
	ids       int           // how many random ids it wrote
	unable    string        // how its requests to WeChat fail; empty: they do not
	until     time.Time     // when that ends
	polled    time.Time     // when it last polled
	resetAt   time.Time     // when its log began anew
	reporting atomic.Int32  // apps that wait for the answer to a report
	reads     map[string]*reading
}

// life is one process.
type life struct {
	of     *sidecar
	group  *keeper.Group
	store  *memcache.Store
	cancel context.CancelFunc
	done   sync.WaitGroup
	killed chan struct{} // closed when it is killed
}

var errKilled = errors.New("this process was killed")

// start starts a process.
func (s *sidecar) start() {
	s.reads = map[string]*reading{}
	s.draws.Store(0)
	l := &life{of: s, killed: make(chan struct{})}
	store, err := memcache.New(memcache.Config{
		Servers: []string{"memcached:11211"},
		Dial: func(context.Context, string, string) (net.Conn, error) {
			c, err := s.world.memcached.Inline()
			if err != nil {
				return nil, err
			}
			return &conn{Conn: c, life: l}, nil
		},
	})
	must(err)
	calls, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport{l}})
	must(err)
	l.store = store
	l.group = keeper.New(keeper.Config{
		Store: store, WeChat: calls, Upstream: s.world.upstreamOf(l), API: s.world.api, Name: s.name, Log: s.world.logger(s.name),
		Wall: func() time.Time { return time.Now().Add(s.skew) },
		Rand: s.rand,
	})
	must(l.group.SetAccounts([]keeper.Account{{AppID: appID, Secret: func() (string, error) { return secret, nil }}}))
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.done.Go(func() { l.group.Run(ctx) })
	s.life = l
}

// rand is the jitter of its process: never the same twice, or two of its timers would ring
// in the same instant, and in no order.
func (s *sidecar) rand() float64 {
	_, f := math.Modf(s.spread + float64(s.draws.Add(1)-1)*0.0137)
	return f
}

// kill ends the process as kill -9 does: nothing that it was about to do happens.
func (s *sidecar) kill() {
	l := s.life
	s.life, s.stopped, s.phase = nil, time.Time{}, 0
	close(l.killed)
	s.world.drop(l)
	l.cancel()
	l.done.Go(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		l.group.Close(over)
		_ = l.store.Close()
	})
}

// runs reports whether the sidecar is neither killed nor stopped.
func (s *sidecar) runs() bool { return s.life != nil && s.stopped.IsZero() }

// conn is a connection to memcached whose commands the scheduler releases.
type conn struct {
	net.Conn
	life   *life
	read   string // the keys of the last command, if that was a read
	answer []byte // not read yet
}

func (c *conn) Write(b []byte) (int, error) {
	verb, key := command(b)
	o := &op{life: c.life, verb: verb, key: key, sent: bytes.Clone(b), at: time.Now(), firm: verb == "cas" && c.read == key}
	c.read = ""
	if verb == "gets" || verb == "get" {
		c.read = key
	}
	w := c.life.of.world
	if w.wait(o) == dropped {
		return 0, errKilled
	}
	if _, err := c.Conn.Write(b); err != nil {
		return 0, err
	}
	c.answer = c.answer[:0]
	for part := make([]byte, 4096); ; {
		n, err := c.Conn.Read(part)
		c.answer = append(c.answer, part[:n]...)
		if err != nil {
			break
		}
	}
	w.did(o, string(c.answer))
	if o.lost {
		c.answer = c.answer[:0]
	}
	return len(b), nil
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.answer) == 0 {
		return c.Conn.Read(p) // a time-out, or the end if memcached has restarted
	}
	n := copy(p, c.answer)
	c.answer = c.answer[n:]
	return n, nil
}

// command returns the verb of a command and the keys that it names.
func command(b []byte) (verb, key string) {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	verb, rest, _ := strings.Cut(string(line), " ")
	if verb == "gets" || verb == "get" {
		return verb, rest
	}
	key, _, _ = strings.Cut(rest, " ")
	return verb, key
}

// transport carries a sidecar's requests to WeChat, in two operations: the request
// arrives, and its answer does.
type transport struct{ life *life }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	s := t.life.of
	w := s.world
	trace := httptrace.ContextClientTrace(r.Context())
	if trace.GetConn != nil {
		trace.GetConn("")
	}
	o := &op{life: t.life, verb: "request", key: strings.TrimPrefix(r.URL.Path, "/cgi-bin/"), request: r}
	if w.wait(o) == dropped {
		return nil, errKilled
	}
	if o.fails == noRoute {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}
	}
	trace.GotConn(httptrace.GotConnInfo{})
	if o.answer == nil { // it arrives later, or its answer never does
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	time.Sleep(roundTrip)
	back := &op{life: t.life, verb: "answer", key: o.key, request: r, issued: o.issued}
	if w.wait(back) == dropped {
		return nil, errKilled
	}
	if back.lost {
		return nil, io.ErrUnexpectedEOF
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return o.answer.Result(), nil
}

// roundTrip is how long WeChat takes. Everything else takes no time.
const roundTrip = 50 * time.Millisecond

// deliver has WeChat carry out a request.
func (w *world) deliver(r *http.Request) (answer *httptest.ResponseRecorder, issued string) {
	before := len(w.wechat.Issued())
	answer = httptest.NewRecorder()
	w.wechat.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
	if all := w.wechat.Issued(); len(all) > before {
		issued = all[before].Token
		w.names.token(issued)
	}
	return answer, issued
}

func (w *world) logger(name string) *slog.Logger {
	if w.logs == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})).With("sidecar", name)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
