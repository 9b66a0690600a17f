// Package memcachetest is a memcached in the process, for tests and for the demo. It
// answers the text protocol as memcached 1.6 does, byte for byte, and fails on demand.
// The conformance test runs one table of cases against it and against the real server.
//
// With [Server.Dial] it uses net.Pipe instead of the network, so it runs inside a
// testing/synctest bubble, and 24 hours pass in seconds. Make the Server inside the
// bubble, because its clock starts with it. With [Server.Serve] it uses TCP or unix
// sockets.
//
// It supports the commands get gets gat gats set add replace append prepend cas delete
// incr decr touch flush_all version verbosity stats quit mn, and mg with the flags v t f
// c k s q. It does not support memory that runs out (use [Server.Evict]), flush_all with
// a delay, the other meta commands, and the binary protocol.
package memcachetest

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Server is a memcached, made by New. It is safe for concurrent use.
type Server struct {
	mu        sync.Mutex // guards everything below; never held over I/O or a hook
	store     store
	conns     map[*conn]struct{}
	listeners map[net.Listener]struct{}
	counts    map[string]int
	total     int
	fault     Fault
	delay     time.Duration
	hook      func(Command) Fault
	closed    bool

	running sync.WaitGroup // connections, and Serve loops
}

// New returns an empty Server. It starts no goroutine before the first connection.
func New() *Server {
	return &Server{
		store:     newStore(),
		conns:     make(map[*conn]struct{}),
		listeners: make(map[net.Listener]struct{}),
		counts:    make(map[string]int),
	}
}

// Dial returns a connection in memory, for memcache.Config.Dial. Only errors show network
// and address. After Close, or with the fault Refuse, the error is syscall.ECONNREFUSED
// inside a *net.OpError.
func (s *Server) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: namedAddr{network, address}, Err: err}
	}
	client, server := net.Pipe()
	if !s.start(server) {
		_ = client.Close()
		return nil, &net.OpError{
			Op: "dial", Net: network, Addr: namedAddr{network, address},
			Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
		}
	}
	return &clientEnd{Conn: client}, nil
}

// Serve serves the connections of l until Close, and then returns nil. It returns any
// other failure to accept, and closes l. A listener cannot refuse: with the fault Refuse,
// a connection is accepted and cut (with a reset, over TCP).
func (s *Server) Serve(l net.Listener) error {
	defer func() { _ = l.Close() }()
	if !s.enlist(l) {
		return net.ErrClosed
	}
	defer s.running.Done()
	for {
		raw, err := l.Accept()
		if err != nil {
			if s.delist(l) && errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		s.start(raw)
	}
}

// Close cuts all connections, closes all listeners, and waits for their goroutines. A
// hook must not call it.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.cutAll()
	var errs []error
	for l := range s.listeners {
		errs = append(errs, l.Close())
	}
	clear(s.listeners)
	s.mu.Unlock()
	s.running.Wait()
	return errors.Join(errs...)
}

// Restart behaves like a restart of the memcached process: it cuts the connections,
// empties the store, and restarts CAS ids at 1. Listeners, faults, hooks and counts stay.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutAll()
	s.store = newStore()
}

// start serves a connection, or closes it and returns false.
func (s *Server) start(raw net.Conn) bool {
	c := newConn(s, raw)
	s.mu.Lock()
	refused := s.closed || s.fault == Refuse
	if !refused {
		s.conns[c] = struct{}{}
		s.store.counters.connectionsNow++
		s.store.counters.connectionsOpened++
		s.running.Add(1)
	}
	s.mu.Unlock()
	if refused {
		if tcp, ok := raw.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset is the closest to a refusal
		}
		_ = raw.Close()
		return false
	}
	go func() {
		defer s.running.Done()
		defer s.forget(c)
		c.serve()
	}()
	return true
}

// forget closes a connection whose goroutine ends.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut(c)
}

// cutAll cuts every connection. The caller holds mu.
func (s *Server) cutAll() {
	for c := range s.conns {
		s.cut(c)
	}
}

// cut closes a connection. Its running command changes nothing any more. The caller holds
// mu. (To close a socket does not wait for its peer.)
func (s *Server) cut(c *conn) {
	if c.isCut {
		return
	}
	c.isCut = true
	close(c.gone)
	_ = c.raw.Close()
	delete(s.conns, c)
	s.store.counters.connectionsNow--
}

// enlist adds a listener unless the Server is closed.
func (s *Server) enlist(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[l] = struct{}{}
	s.running.Add(1)
	return true
}

// delist removes a listener, and reports whether the Server is closed.
func (s *Server) delist(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	return s.closed
}
