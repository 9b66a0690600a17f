package web

import (
	"net"
	"sync"
	"time"
)

const (
	// maxConns bounds the connections of one listener: those of the requests that
	// may be under way, and some to be told that there are too many.
	maxConns = maxUnderWay + 1_000
	// minConns are allowed however little memory there is.
	minConns = 64
	// connCost is what a caller who waits for a renewal costs in bytes (10,000 of
	// them took 236 MB), nearly all of it net/http's: two goroutines' stacks and
	// three buffers. There is no option to make them smaller.
	connCost = 24 << 10
)

// affordable is how many connections fit into half of the memory that GOMEMLIMIT
// allows: a pod's limit must not be reached because many wait at once. The
// others wait in the kernel's queue, where they cost nothing.
func affordable(memoryLimit int64) int {
	return int(max(minConns, min(maxConns, memoryLimit/2/connCost)))
}

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

// deadlineStep is by how much a deadline for writing is too early at most.
const deadlineStep = 5 * time.Second

// countedConn gives its place back when it is closed.
type countedConn struct {
	net.Conn
	places  chan struct{}
	once    sync.Once
	written time.Time // the deadline for writing, as it was last set
}

// SetWriteDeadline implements net.Conn. net/http sets a deadline for every
// request and lifts it after the answer: most of these calls are spared, each
// about 2 % of a request. One that is not lifted does no harm: nothing is
// written before the next request sets the next.
func (c *countedConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	if later := t.Sub(c.written); later >= 0 && later < deadlineStep {
		return nil
	}
	c.written = t
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite is what net/http asks of a TCP connection or unix socket, so that a
// caller who still sends can read why he is refused.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.places })
	return err
}
