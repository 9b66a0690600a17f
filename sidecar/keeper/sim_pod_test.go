package keeper_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"

	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

var errKilled = errors.New("this process was killed")

// gate is where a simulated process can be stopped and killed: at every read,
// write and call.
type gate struct {
	mu      sync.Mutex
	resumed chan struct{} // nil while it runs
	killed  bool
}

// pass waits while the process is stopped and fails once it is killed. It
// reports whether it had to wait.
func (g *gate) pass() (waited bool, err error) {
	g.mu.Lock()
	resumed, killed := g.resumed, g.killed
	g.mu.Unlock()
	if killed {
		return false, errKilled
	}
	if resumed == nil {
		return false, nil
	}
	<-resumed
	_, err = g.pass()
	return true, err
}

func (g *gate) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.resumed == nil {
		g.resumed = make(chan struct{})
	}
}

func (g *gate) resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.resumed != nil {
		close(g.resumed)
		g.resumed = nil
	}
}

func (g *gate) kill() {
	g.mu.Lock()
	g.killed = true
	g.mu.Unlock()
	g.resume()
}

// gatedConn is a connection of a process that can be stopped.
type gatedConn struct {
	net.Conn
	pod  *pod
	gate *gate
}

func (c gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if _, gateErr := c.gate.pass(); gateErr != nil {
		return 0, gateErr
	}
	return n, err
}

// Write of a process that was stopped just before it goes out when the process
// goes on, although its time has run out meanwhile; the answer then finds nobody.
func (c gatedConn) Write(b []byte) (int, error) {
	c.pod.step(b)
	waited, err := c.gate.pass()
	if err != nil {
		return 0, err
	}
	if waited {
		_ = c.Conn.SetWriteDeadline(time.Time{})
	}
	return c.Conn.Write(b)
}

// pipes is a network of one listener.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// pod is a sidecar, the apps beside it, and what can go wrong with them.
type pod struct {
	world *world
	name  string
	skew  time.Duration

	cut atomic.Bool // the pod cannot reach memcached

	starting sync.Mutex // held by start: two episodes may start the same pod

	mu      sync.Mutex // guards what follows
	process *process   // nil while none runs
	client  *client.Client
	upSince time.Time // when it was last started or resumed
	stopped bool
	calling int // calls to WeChat under way
}

// process is one life of a sidecar.
type process struct {
	gate   *gate
	group  *keeper.Group
	server *http.Server
	api    *pipes
	cancel context.CancelFunc
	done   chan struct{}
}

// start starts the sidecar, if none runs.
func (p *pod) start() {
	p.starting.Lock()
	defer p.starting.Unlock()
	if p.running() {
		return
	}
	w := p.world
	pr := &process{gate: &gate{}, api: newPipes(), done: make(chan struct{})}
	store, err := memcache.New(memcache.Config{Servers: []string{"memcached:11211"}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if _, err := pr.gate.pass(); err != nil {
			return nil, err
		}
		c, err := p.dialMemcached(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return gatedConn{c, p, pr.gate}, nil
	}})
	w.must(err)
	calls, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: &gatedTransport{pod: p, gate: pr.gate}})
	w.must(err)
	log := slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	pr.group = keeper.New(keeper.Config{
		Store: store, WeChat: calls, API: w.api, Name: p.name, Log: log,
		Wall: func() time.Time { return time.Now().Add(p.skew) },
	})
	w.must(pr.group.SetAccounts([]keeper.Account{{AppID: simAppID, Secret: w.secret}}))
	handler, err := web.NewAPI(web.APIConfig{Group: pr.group, Log: log})
	w.must(err)
	pr.server = &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	ctx, cancel := context.WithCancel(context.Background())
	pr.cancel = cancel
	var all sync.WaitGroup
	all.Go(func() { pr.group.Run(ctx) })
	all.Go(func() { _ = pr.server.Serve(gatedListener{pr.api, p, pr.gate}) })
	go func() {
		all.Wait()
		_ = store.Close()
		close(pr.done)
	}()
	p.mu.Lock()
	p.process, p.upSince = pr, time.Now()
	p.mu.Unlock()
}

type gatedListener struct {
	*pipes
	pod  *pod
	gate *gate
}

func (l gatedListener) Accept() (net.Conn, error) {
	c, err := l.pipes.Accept()
	if err != nil {
		return nil, err
	}
	return gatedConn{c, l.pod, l.gate}, nil
}

func (p *pod) dialMemcached(ctx context.Context, network, address string) (net.Conn, error) {
	if p.cut.Load() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.EHOSTUNREACH}
	}
	c, err := p.world.memcached.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return cutConn{c, p}, nil
}

// cutConn is a connection between a pod and memcached.
type cutConn struct {
	net.Conn
	pod *pod
}

func (c cutConn) Write(b []byte) (int, error) {
	if c.pod.cut.Load() {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EHOSTUNREACH}
	}
	return c.Conn.Write(b)
}

// end ends the process: by a signal that it obeys, or as kill -9 does.
func (p *pod) end(kill bool) {
	p.mu.Lock()
	pr := p.process
	p.process = nil
	p.mu.Unlock()
	if pr == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3500*time.Millisecond)
	if kill {
		p.world.judge.killed(p)
		pr.gate.kill()
		cancel()
	} else {
		pr.gate.resume()
	}
	pr.cancel()
	_ = pr.api.Close()
	if kill {
		_ = pr.server.Close()
	} else {
		_ = pr.server.Shutdown(ctx)
		_ = pr.server.Close()
	}
	pr.group.Close(ctx)
	cancel()
	<-pr.done
}

func (p *pod) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != nil {
		p.process.gate.stop()
		p.stopped = true
	}
}

// step springs the world's trap, if there is one and this is what it waits for:
// the sidecar is stopped before what it was about to write.
func (p *pod) step(b []byte) {
	trap := p.world.trap.Load()
	if trap == nil {
		return
	}
	for _, step := range trap.before {
		if bytes.Contains(b, []byte(step)) && p.world.trap.CompareAndSwap(trap, nil) {
			p.pause()
			trap.caught <- p
			return
		}
	}
}

// trap stops the first sidecar that is about to write one of these to memcached,
// or to "call" WeChat.
type trap struct {
	before []string
	caught chan *pod
}

func (p *pod) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped, p.upSince = false, time.Now()
	if p.process != nil {
		p.process.gate.resume()
	}
}

func (p *pod) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process != nil
}

// settled reports whether the sidecar has been running for at least d.
func (p *pod) settled(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process != nil && !p.stopped && time.Since(p.upSince) >= d
}

// holdsToken reports whether the sidecar remembers a live token.
func (p *pod) holdsToken() bool {
	p.mu.Lock()
	pr := p.process
	p.mu.Unlock()
	return pr != nil && pr.group.States()[0].Valid
}

// dialAPI reaches the sidecar of the pod, whichever life it is in.
func (p *pod) dialAPI(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	pr := p.process
	p.mu.Unlock()
	if pr == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return pr.api.Dial(ctx, network, address)
}

// newClient is the library that the pod's apps use.
func (p *pod) newClient() *client.Client {
	c, err := client.New(client.Config{
		AppID: simAppID, Servers: []string{"memcached:11211"}, Dial: p.dialMemcached,
		Transport: &http.Transport{DialContext: p.dialAPI, DisableKeepAlives: true},
	})
	p.world.must(err)
	return c
}

// gatedTransport carries a sidecar's calls to WeChat. A process stopped just
// before its request left sends it when it goes on, even though the call's time
// has run out meanwhile; and one stopped later learns of the answer late.
type gatedTransport struct {
	pod  *pod
	gate *gate
}

func (t *gatedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := t.pod.world
	t.pod.step([]byte("call"))
	over := w.judge.calling(t.pod, strings.TrimPrefix(r.URL.Path, "/cgi-bin/"))
	defer over()
	waited, err := t.gate.pass()
	if err != nil {
		return nil, err
	}
	if waited && w.flip() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 5*time.Second)
		defer cancel()
		r = r.WithContext(ctx)
	}
	t.pod.mu.Lock()
	t.pod.calling++
	t.pod.mu.Unlock()
	defer func() {
		t.pod.mu.Lock()
		t.pod.calling--
		t.pod.mu.Unlock()
	}()
	resp, err := w.wechatTransport.RoundTrip(r)
	if err != nil {
		if _, killed := t.gate.pass(); killed != nil {
			return nil, killed
		}
		return nil, err
	}
	body, bodyErr := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	_ = resp.Body.Close()
	late, err := t.gate.pass()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), errReader{bodyErr}))
	var answer struct {
		Token     string `json:"access_token"`
		ExpiresIn int    `json:"expires_in"`
	}
	if bodyErr == nil && resp.StatusCode == http.StatusOK && json.Unmarshal(body, &answer) == nil && answer.ExpiresIn >= 10 && !late && !waited {
		w.judge.delivered(t.pod, answer.Token)
	}
	return resp, nil
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) {
	if r.err == nil {
		return 0, io.EOF
	}
	return 0, r.err
}
