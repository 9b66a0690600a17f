package sim

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
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

// pod is a sidecar, the apps beside it, and what can go wrong with them.
type pod struct {
	world *world
	name  string
	api   wechat.API
	skew  atomic.Int64 // of its wall clock, a time.Duration

	cut   atomic.Bool                 // the pod cannot reach memcached
	fault atomic.Pointer[wechatFault] // how the pod's own requests to WeChat fail; nil: they do not

	starting sync.Mutex // held by start: two episodes may start the same pod

	mu      sync.Mutex // guards what follows
	process *process   // nil while none runs
	client  *client.Client
	upSince time.Time // when it was last started or resumed
	stopped bool
	calling int       // requests to WeChat under way
	direct  time.Time // when it last asked stable_token without memcached
	ticket  time.Time // when it can ask for a ticket without memcached
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
		c, err := p.dialMemcached(ctx, "sidecar", network, address)
		if err != nil {
			return nil, err
		}
		return gatedConn{c, p, pr.gate}, nil
	}})
	w.must(err)
	calls, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: &gatedTransport{pod: p, gate: pr.gate}})
	w.must(err)
	log := slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})).With("pod", p.name)
	pr.group = keeper.New(keeper.Config{
		Store: store, WeChat: calls, API: p.api, Name: p.name, Log: log,
		Wall: func() time.Time { return time.Now().Add(time.Duration(p.skew.Load())) },
		Rand: p.world.float,
	})
	w.must(pr.group.SetAccounts([]keeper.Account{{AppID: appID, Secret: w.secret, Tickets: w.tickets}}))
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
	p.process, p.upSince, p.direct, p.ticket = pr, time.Now(), time.Time{}, time.Time{}
	p.mu.Unlock()
}

func (p *pod) dialMemcached(ctx context.Context, from, network, address string) (net.Conn, error) {
	if p.cut.Load() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.EHOSTUNREACH}
	}
	c, err := p.world.memcached.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return cutConn{c, p, from}, nil
}

// cutConn is a connection between a pod and memcached.
type cutConn struct {
	net.Conn
	pod  *pod
	from string // sidecar or app
}

func (c cutConn) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte{0x16}) { // an app finds out whether memcached demands TLS: random bytes
		_, err := c.Write([]byte("TLS\r\n"))
		return len(b), err
	}
	w := c.pod.world
	time.Sleep(c.pod.latency(c.from, b) + time.Duration(w.slowMemcached.Load()))
	if c.from == "sidecar" && (bytes.HasPrefix(b, []byte("cas "+recordKey+" ")) || bytes.HasPrefix(b, []byte("add "+recordKey+" "))) {
		w.judge.writing(c.pod)
	}
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
		p.world.judge.killed()
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

// startedSince reports whether the sidecar was started or resumed since then.
func (p *pod) startedSince(then time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.upSince.After(then)
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
		AppID: appID, Servers: []string{"memcached:11211"},
		Memcached: client.Memcached{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return p.dialMemcached(ctx, "app", network, address)
		}},

		Transport: &http.Transport{DialContext: p.dialAPI, DisableKeepAlives: true},
	})
	p.world.must(err)
	return c
}
