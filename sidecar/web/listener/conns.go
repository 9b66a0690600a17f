package listener

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxConns bounds the connections of one listener. The API serves 20,000 requests
	// at a time, and refuses the others.
	maxConns = 21_000
	// minConns are admitted with any amount of memory.
	minConns = 64
	// connCost is what a connection costs in bytes while it waits for a renewal (10,000
	// took 236 MB) or slowly sends the longest head. Nearly all of it is net/http's: two
	// stacks, three buffers, the head. It has no option to make them smaller.
	connCost = 32 << 10
	// grace is how long a connection has at least to send its request, and how long an
	// answer has to be written. One that is answered must not be closed to admit another.
	grace = 50 * time.Millisecond
)

// share is how much of GOMEMLIMIT the connections of one listener may take, in eighths.
// Many connections must not reach the pod's limit. The others queue in the kernel, where
// they cost nothing.
type share int64

const (
	apiShare share = 3
	opsShare share = 1 // health and metrics: few clients
)

// connections returns how many connections fit.
func (s share) connections(memoryLimit int64) int {
	return int(max(minConns, min(maxConns, memoryLimit/8/connCost*int64(s))))
}

// boundedListener limits the open connections. When it is full, it closes an idle one to
// admit the next. Idle is a connection between two requests, one whose request is
// incomplete, or one whose answer nobody reads. So clients that open many connections and
// send little, or send it slowly, keep nobody out. When all connections wait for a
// credential, further ones queue: one here, the rest in the kernel.
type boundedListener struct {
	net.Listener
	limit  int
	closed chan struct{}
	once   sync.Once
	turn   atomic.Uint64 // counts reads and answers, see boundedConn.idleSince

	waiting atomic.Bool   // Accept waits for room
	room    chan struct{} // signals Accept that there may be room

	mu   sync.Mutex
	open map[*boundedConn]struct{} // mu guards it
}

func bounded(l net.Listener, limit int) net.Listener {
	return &boundedListener{
		Listener: l, limit: limit, closed: make(chan struct{}), room: make(chan struct{}, 1), open: map[*boundedConn]struct{}{},
	}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &boundedConn{Conn: inner, listener: l}
	conn.idleSince.Store(l.turn.Add(1))
	l.waiting.Store(true) // before admit: later changes are signalled
	defer l.waiting.Store(false)
	for {
		evicted, ok := l.admit(conn)
		if evicted != nil {
			_ = evicted.Close() // nothing is lost
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

// admit adds conn if there is room, or if an idle connection can be evicted.
func (l *boundedListener) admit(conn *boundedConn) (evicted *boundedConn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.limit {
		if evicted = l.oldestIdle(); evicted == nil {
			return nil, false
		}
		delete(l.open, evicted)
	}
	conn.accepted = time.Now()
	l.open[conn] = struct{}{}
	return evicted, true
}

// compared is how many idle connections oldestIdle compares. The oldest of a random few
// is good enough: to compare thousands takes too long.
const compared = 32

// oldestIdle returns a connection that has been idle for long, or nil if there is none
// beyond its grace. The caller holds mu.
func (l *boundedListener) oldestIdle() *boundedConn {
	var oldest *boundedConn
	seen, now := 0, time.Now()
	for conn := range l.open { // in random order
		if since := conn.idle.Load(); since == 0 || now.UnixNano() < since || now.Sub(conn.accepted) < grace {
			continue
		}
		if oldest == nil || conn.idleSince.Load() < oldest.idleSince.Load() {
			oldest = conn
		}
		if seen++; seen == compared {
			break
		}
	}
	return oldest
}

// signalRoom tells a waiting Accept that there may be room.
func (l *boundedListener) signalRoom() {
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

// boundedConn is a connection that counts until it is closed.
type boundedConn struct {
	net.Conn
	listener  *boundedListener
	accepted  time.Time
	idle      atomic.Int64  // since when it waits for its client, in Unix nanoseconds; 0: it does not
	idleSince atomic.Uint64 // the listener's turn when net/http last began to read a request, or had answered one
}

// Read implements net.Conn. During an answer, net/http reads a single byte to notice a
// client that leaves; this is not idle.
func (c *boundedConn) Read(p []byte) (int, error) {
	if len(p) == 1 {
		return c.Conn.Read(p)
	}
	c.idle.Store(time.Now().UnixNano())
	c.listener.signalRoom()
	defer c.idle.Store(0)
	return c.Conn.Read(p)
}

// Write implements net.Conn. A connection is idle when its client leaves an answer unread
// for longer than its grace.
func (c *boundedConn) Write(p []byte) (int, error) {
	c.idle.Store(time.Now().Add(grace).UnixNano())
	defer c.idle.Store(0)
	return c.Conn.Write(p)
}

// SetReadDeadline implements net.Conn. net/http sets a deadline when it begins to read a
// request and when it has written an answer, not for further bytes.
func (c *boundedConn) SetReadDeadline(t time.Time) error {
	c.idleSince.Store(c.listener.turn.Add(1))
	return c.Conn.SetReadDeadline(t)
}

// CloseWrite lets net/http close one direction, so that a client that still sends can
// read its refusal.
func (c *boundedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	l := c.listener
	l.mu.Lock()
	delete(l.open, c)
	l.mu.Unlock()
	l.signalRoom()
	return err
}
