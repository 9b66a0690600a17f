package wechattest

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
)

// Pipe serves over in-process pipes, and returns a transport that connects to them for
// any host. It is for testing/synctest, because real sockets stop the virtual clock. Use
// it with http://127.0.0.1. For stop see [Server.ListenTLS].
func (s *Server) Pipe() (transport *http.Transport, stop func()) {
	listener := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	end := serve(listener, s)
	transport = &http.Transport{DialContext: listener.dial, DisableKeepAlives: true}
	return transport, func() {
		transport.CloseIdleConnections()
		end()
	}
}

// pipeListener is a net.Listener without sockets.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.closed:
		return nil, io.ErrClosedPipe
	}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
