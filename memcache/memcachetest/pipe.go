package memcachetest

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
)

// clientEnd is the client's end of a connection in memory. It behaves like a socket, and
// not like net.Pipe, once the server has closed the connection: a write succeeds and is
// lost, and the next read returns EOF.
type clientEnd struct {
	net.Conn
	closed atomic.Bool // by the client itself
}

func (c *clientEnd) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, io.ErrClosedPipe) && !c.closed.Load() {
		return len(p), nil
	}
	return n, err
}

func (c *clientEnd) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// namedAddr is the address of a Dial.
type namedAddr struct{ network, address string }

func (a namedAddr) Network() string { return a.network }
func (a namedAddr) String() string  { return a.address }
