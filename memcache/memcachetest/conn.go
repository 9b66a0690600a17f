package memcachetest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"time"
)

// maxLine is the longest command line, enough for a get of some thousand keys. A longer
// one ends the connection.
const maxLine = 1 << 20

// errLine is the error for a command line that is too long.
var errLine = errors.New("memcachetest: command line too long")

// conn is one client's connection, served by one goroutine.
type conn struct {
	server *Server
	raw    net.Conn
	gone   chan struct{} // closed when the connection is cut
	isCut  bool          // guarded by server.mu

	in   *bufio.Reader
	out  []byte // buffered answers
	line []byte // the current command line
	body []byte // the current value
	req  request
}

func newConn(s *Server, raw net.Conn) *conn {
	c := &conn{server: s, raw: raw, gone: make(chan struct{})}
	c.in = bufio.NewReaderSize(incoming{c}, 16<<10)
	return c
}

// incoming sends the buffered answers before it waits for more commands. So an answer is
// one write, and no client waits for a buffered one.
type incoming struct{ c *conn }

func (i incoming) Read(p []byte) (int, error) {
	if err := i.c.flush(); err != nil {
		return 0, err
	}
	n, err := i.c.raw.Read(p)
	s := i.c.server
	s.mu.Lock()
	s.store.counters.bytesRead += n
	s.mu.Unlock()
	return n, err
}

// serve answers commands until the connection ends.
func (c *conn) serve() {
	for c.read() == nil && c.handle() {
		if c.req.verb == "quit" {
			_ = c.flush()
			return
		}
	}
}

// handle runs one command, or injects the fault. It reports whether the connection
// continues.
func (c *conn) handle() bool {
	fault, delay := c.server.begin(&c.req)
	if fault == None {
		return c.run()
	}
	if c.flush() != nil {
		return false // answers of earlier commands are sent without the fault
	}
	switch fault {
	case Hang:
		c.swallow()
		return false
	case HangAfter:
		c.run()
		c.swallow()
		return false
	case DropAfter:
		c.run()
		return false
	case DropMid:
		c.run()
		c.out = c.out[:len(c.out)/2]
		_ = c.flush()
		return false
	case ServerError:
		if !c.req.noreply {
			c.out = append(c.out, "SERVER_ERROR out of memory storing object\r\n"...)
		}
		return true
	case Slow:
		return c.run() && c.wait(delay)
	case None, Refuse, DropBefore:
	}
	return false
}

// run runs the current command and buffers the answer. It returns false if the
// connection was cut meanwhile: then nothing happened.
func (c *conn) run() bool {
	r := &c.req
	answered := len(c.out)
	switch {
	case r.answer != "":
		c.out = append(c.out, r.answer...)
	case r.each != nil:
		// Key by key, as memcached does: another client can write in between.
		for _, key := range r.keys {
			r.key = key
			if !c.apply(r.each) {
				return false
			}
		}
		c.out = append(c.out, "END\r\n"...)
	case r.once != nil:
		if !c.apply(r.once) {
			return false
		}
	}
	if r.noreply {
		c.out = c.out[:answered]
	}
	return true
}

// apply runs one step on the store unless the connection was cut.
func (c *conn) apply(step step) bool {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.isCut {
		return false
	}
	c.out = step(&c.server.store, &c.req, c.out)
	return true
}

// wait waits for d, and reports whether the connection is still open.
func (c *conn) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.gone:
		return false
	}
}

// swallow reads until the client closes the connection.
func (c *conn) swallow() {
	c.out = c.out[:0]
	_, _ = io.Copy(io.Discard, c.in)
}

// flush sends the buffered answers.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	c.server.mu.Lock()
	c.server.store.counters.bytesWritten += len(c.out) // before the client has the answer
	c.server.mu.Unlock()
	_, err := c.raw.Write(c.out)
	c.out = c.out[:0]
	return err
}

// read reads one command, with its value.
func (c *conn) read() error {
	if err := c.readLine(); err != nil {
		return err
	}
	c.req.parse(c.line)
	if c.req.size < 0 {
		return nil
	}
	size := c.req.size + len("\r\n")
	if c.req.tooLarge {
		_, err := c.in.Discard(size)
		return err
	}
	if cap(c.body) < size {
		c.body = make([]byte, size)
	}
	c.body = c.body[:size]
	if _, err := io.ReadFull(c.in, c.body); err != nil {
		return err
	}
	c.req.take(c.body)
	return nil
}

// readLine reads a line without its line feed and carriage return.
func (c *conn) readLine() error {
	c.line = c.line[:0]
	for {
		part, err := c.in.ReadSlice('\n')
		c.line = append(c.line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if len(c.line) > maxLine {
			return errLine
		}
	}
	c.line = c.line[:len(c.line)-1]
	if n := len(c.line); n > 0 && c.line[n-1] == '\r' {
		c.line = c.line[:n-1]
	}
	return nil
}
