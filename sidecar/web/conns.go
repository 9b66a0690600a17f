package web

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxConns bounds the connections of one listener: those of the requests that
	// may be under way, and some to be told that there are too many.
	maxConns = maxUnderWay + 1_000
	// minConns are allowed however little memory there is.
	minConns = 64
	// connCost is what a connection costs in bytes: a caller who waits for a renewal
	// (10,000 of them took 236 MB), or one who says the longest head, slowly. Nearly
	// all of it is net/http's: two goroutines' stacks, three buffers, the head. There
	// is no option to make them smaller.
	connCost = 32 << 10
	// grace is how long a connection has at least to say its request: one that is
	// about to be answered must not be the one that makes room.
	grace = 50 * time.Millisecond
)

// share is how much of the memory that GOMEMLIMIT allows the connections of one
// listener may take, in eighths: a pod's limit must not be reached because many
// connect at once. The others wait in the kernel's queue, where they cost nothing.
type share int64

const (
	apiShare share = 3
	opsShare share = 1 // health and metrics: a few ask
)

// places is how many connections fit.
func (s share) places(memoryLimit int64) int {
	return int(max(minConns, min(maxConns, memoryLimit/8/connCost*int64(s))))
}

// boundedListener keeps at most so many connections open. Where all places are
// taken, one that rests makes room for the next: it is between two requests, its
// request has not come whole, or its answer is not taken. So whoever opens many and
// says little, or says it slowly, takes nobody else's place. Where all wait for a
// credential, others wait: one here, the rest in the kernel's queue.
type boundedListener struct {
	net.Listener
	places int
	closed chan struct{}
	once   sync.Once
	turn   atomic.Uint64 // counts what connections do, see countedConn.rested

	waiting atomic.Bool   // Accept waits for a place
	room    chan struct{} // tells it that there may be one

	mu   sync.Mutex
	open map[*countedConn]struct{} // mu guards it
}

func bounded(l net.Listener, places int) net.Listener {
	return &boundedListener{
		Listener: l, places: places, closed: make(chan struct{}), room: make(chan struct{}, 1), open: map[*countedConn]struct{}{},
	}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &countedConn{Conn: inner, listener: l}
	conn.rested.Store(l.turn.Add(1))
	l.waiting.Store(true) // before the look: what changes after it is told
	defer l.waiting.Store(false)
	for {
		out, ok := l.seat(conn)
		if out != nil {
			_ = out.Close() // it has nothing to lose
		}
		if ok {
			return conn, nil
		}
		timer := time.NewTimer(grace)
		select {
		case <-l.room:
		case <-timer.C:
		case <-l.closed:
			timer.Stop()
			_ = inner.Close()
			return nil, net.ErrClosed
		}
		timer.Stop()
	}
}

// seat gives conn a place, if there is one, or one that rests to put out.
func (l *boundedListener) seat(conn *countedConn) (out *countedConn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.places {
		if out = l.rester(); out == nil {
			return nil, false
		}
		delete(l.open, out)
	}
	conn.accepted = time.Now()
	l.open[conn] = struct{}{}
	return out, true
}

// resters is how many of those that rest are compared. Of a few that chance picks
// the one that rests longest will do: to look at all takes too long where they are
// many.
const resters = 32

// rester is one that rests, and has for long; nil where none does, or all have come
// just now. The caller holds mu.
func (l *boundedListener) rester() *countedConn {
	var longest *countedConn
	seen, now := 0, time.Now()
	for conn := range l.open { // begins anywhere
		if !conn.stuck.Load() || now.Sub(conn.accepted) < grace {
			continue
		}
		if longest == nil || conn.rested.Load() < longest.rested.Load() {
			longest = conn
		}
		if seen++; seen == resters {
			break
		}
	}
	return longest
}

// tell tells Accept, where it waits, that there may be a place.
func (l *boundedListener) tell() {
	if !l.waiting.Load() {
		return
	}
	select {
	case l.room <- struct{}{}:
	default:
	}
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
	listener *boundedListener
	accepted time.Time
	stuck    atomic.Bool   // it waits for whoever is at the other end
	rested   atomic.Uint64 // the listener's turn when net/http last began to read a request, or had answered one
	written  time.Time     // the deadline for writing, as it was last set
}

// Read implements net.Conn. net/http reads a single byte while an answer is made, to
// see whether who asked has left: that is no rest.
func (c *countedConn) Read(p []byte) (int, error) {
	if len(p) == 1 {
		return c.Conn.Read(p)
	}
	c.stuck.Store(true)
	c.listener.tell()
	n, err := c.Conn.Read(p)
	c.stuck.Store(false)
	return n, err
}

// Write implements net.Conn.
func (c *countedConn) Write(p []byte) (int, error) {
	c.stuck.Store(true)
	c.listener.tell()
	n, err := c.Conn.Write(p)
	c.stuck.Store(false)
	return n, err
}

// SetReadDeadline implements net.Conn. net/http sets one when it begins to read a
// request, and when it has written an answer; none for further bytes.
func (c *countedConn) SetReadDeadline(t time.Time) error {
	c.rested.Store(c.listener.turn.Add(1))
	return c.Conn.SetReadDeadline(t)
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
	l := c.listener
	l.mu.Lock()
	delete(l.open, c)
	l.mu.Unlock()
	l.tell()
	return err
}
