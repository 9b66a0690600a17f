package web

import (
	"net"
	"sync"
)

// maxConns bounds the connections of one listener: those of the requests that
// may be under way, and some to be told that there are too many.
const maxConns = maxUnderWay + 1_000

// boundedListener accepts at most so many connections at a time. Others wait in the
// kernel's queue.
type boundedListener struct {
	net.Listener
	places chan struct{} // holds one for each open connection
	closed chan struct{}
	once   sync.Once
}

func bounded(l net.Listener, places int) net.Listener {
	return &boundedListener{Listener: l, places: make(chan struct{}, places), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &countedConn{Conn: conn, places: l.places}, nil
}

// Close implements net.Listener.
func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// countedConn gives its place back when it is closed.
type countedConn struct {
	net.Conn
	places chan struct{}
	once   sync.Once
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.places })
	return err
}
