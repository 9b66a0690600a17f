package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

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
// goes on, although its time has run out meanwhile; the answer then finds no reader.
func (c gatedConn) Write(b []byte) (int, error) {
	c.pod.step(b)
	waited, err := c.gate.pass()
	if err != nil {
		return 0, err
	}
	if waited {
		_ = c.SetWriteDeadline(time.Time{})
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

// step springs the world's trap, if there is one and this is what it waits for:
// the sidecar is stopped before what it was about to write.
func (p *pod) step(b []byte) {
	trap := p.world.trap.Load()
	if trap == nil {
		return
	}
	for _, step := range trap.before {
		if bytes.Contains(b, []byte(step)) && trap.skip.Add(-1) < 0 && p.world.trap.CompareAndSwap(trap, nil) {
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
	skip   atomic.Int32 // how many such steps pass before
	caught chan *pod
}

// gatedTransport carries a sidecar's requests to WeChat. A process stopped just
// before its request left sends it when it goes on, even though the request's time
// has run out meanwhile; and one stopped later learns of the answer late.
type gatedTransport struct {
	pod  *pod
	gate *gate
}

func (t *gatedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := t.pod.world
	api := strings.TrimPrefix(r.URL.Path, "/cgi-bin/")
	switch {
	case isTicket(r.URL.Query().Get("type")):
		return t.ticket(r)
	case api != string(wechat.Token) && api != string(wechat.StableToken):
		return t.other(r)
	}
	t.pod.step([]byte("call"))
	over := w.judge.calling(t.pod, api)
	defer over()
	waited, err := t.gate.pass()
	if err != nil {
		return nil, err
	}
	w.requested(t.pod, api)
	if resp, err := t.fail(r); resp != nil || err != nil {
		return resp, err
	}
	if waited && t.pod.world.flip() {
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
	slow := time.Duration(w.slowWeChat.Load()) / 2
	sleep(r.Context(), slow)
	resp, err := w.wechatTransport.RoundTrip(r)
	sleep(r.Context(), slow)
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
	if w.loses(t.pod) {
		return nil, io.ErrUnexpectedEOF
	}
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), errReader{bodyErr}))
	var answer struct {
		Token     string `json:"access_token"`
		ExpiresIn int    `json:"expires_in"`
	}
	if bodyErr == nil && resp.StatusCode == http.StatusOK && json.Unmarshal(body, &answer) == nil && answer.ExpiresIn >= 10 && !late && !waited {
		w.judge.delivered(answer.Token)
	}
	return resp, nil
}

// other carries a request to another API of WeChat's.
func (t *gatedTransport) other(r *http.Request) (*http.Response, error) {
	if _, err := t.gate.pass(); err != nil {
		return nil, err
	}
	if fault := t.pod.fault.Load(); fault != nil && *fault != offWhitelist {
		return nil, dialFails(r.Context(), *fault)
	}
	resp, err := t.pod.world.wechatTransport.RoundTrip(r)
	if _, killed := t.gate.pass(); killed != nil {
		return nil, killed
	}
	return resp, err
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) {
	if r.err == nil {
		return 0, io.EOF
	}
	return 0, r.err
}
