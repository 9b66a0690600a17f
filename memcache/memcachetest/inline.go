package memcachetest

import (
	"bytes"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Inline returns a connection without a goroutine. The Write that completes a command
// runs it, and Read returns its answer. If there is no answer, Read returns a timeout at
// once. It is for tests that decide when each of millions of commands runs. After Close,
// or with the fault Refuse, it returns syscall.ECONNREFUSED inside a *net.OpError, as
// Dial does.
func (s *Server) Inline() (net.Conn, error) {
	raw := &inline{}
	raw.conn = newConn(s, raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.fault == Refuse {
		return nil, &net.OpError{Op: "dial", Net: "inline", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	s.conns[raw.conn] = struct{}{}
	s.store.counters.connectionsNow++
	s.store.counters.connectionsOpened++
	return inlineClient{raw}, nil
}

// inline is the server's end of such a connection.
type inline struct {
	conn     *conn
	commands bytes.Buffer // written by the client, not read by the server yet
	answers  bytes.Buffer
	closed   bool
}

// Read returns io.EOF if no command is left.
func (i *inline) Read(p []byte) (int, error)  { return i.commands.Read(p) }
func (i *inline) Write(p []byte) (int, error) { return i.answers.Write(p) }

func (i *inline) Close() error {
	i.closed = true
	return nil
}

func (i *inline) LocalAddr() net.Addr              { return namedAddr{"inline", "server"} }
func (i *inline) RemoteAddr() net.Addr             { return namedAddr{"inline", "client"} }
func (i *inline) SetDeadline(time.Time) error      { return nil }
func (i *inline) SetReadDeadline(time.Time) error  { return nil }
func (i *inline) SetWriteDeadline(time.Time) error { return nil }

// inlineClient is the client's end.
type inlineClient struct{ *inline }

// Write runs a command once it is complete.
func (i inlineClient) Write(p []byte) (int, error) {
	if i.closed {
		return len(p), nil // lost, as on a socket that the server has closed
	}
	i.commands.Write(p)
	if !complete(i.commands.Bytes()) {
		return len(p), nil
	}
	for i.conn.read() == nil {
		if !i.conn.handle() || i.conn.req.verb == "quit" {
			i.conn.server.forget(i.conn)
			break
		}
	}
	_ = i.conn.flush()
	return len(p), nil
}

func (i inlineClient) Read(p []byte) (int, error) {
	n, err := i.answers.Read(p)
	if err == io.EOF && !i.closed { //nolint:errorlint // bytes.Buffer returns it as it is
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

func (i inlineClient) Close() error {
	i.conn.server.forget(i.conn)
	return nil
}

// complete reports whether b has a command line, and its value if it announces one.
func complete(b []byte) bool {
	line, rest, found := bytes.Cut(b, []byte("\n"))
	if !found {
		return len(b) > maxLine // the server returns an error
	}
	var r request
	r.parse(bytes.TrimSuffix(line, []byte("\r")))
	return r.size < 0 || len(rest) >= r.size+len("\r\n")
}
