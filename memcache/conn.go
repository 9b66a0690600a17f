package memcache

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"os"
	"strconv"
	"time"
)

const (
	// maxValue is the longest value in bytes that is passed on; see conn.
	maxValue = maxRecord
	// maxLine bounds one line of an answer: a key of 250 bytes and four numbers, or
	// a reason.
	maxLine = 2 << 10
	// maxItems and maxAnswer bound one answer, in items and in bytes. The largest
	// multi-get fits, with the longest values.
	maxItems  = 2 * PollBatch
	maxAnswer = maxItems * (maxValue + maxLine)
	// answerTimeouts is how many timeouts an answer can take: the client library
	// allows one for each item.
	answerTimeouts = 10
	// freeReads are the reads of an answer before the clock is read.
	freeReads = 2
)

// conn bounds the memory and the time that an answer can take, whatever the server
// sends. The client library trusts every size, and reads items until END:
//
//	VALUE wx1 0 4000000000 7     allocates 4 GB before the first byte arrives
//	VALUE wx1 0 1048576 7        a poll of 100 accounts holds 200 of these
//	VALUE a 0 1 1 … VALUE b …    the answer to a get of one key never ends
//
// No value of ours is longer than maxValue. conn passes a longer one on as empty,
// with its CAS id. It is damaged for every reader, and a sidecar replaces it.
type conn struct {
	net.Conn
	patience time.Duration // for a whole answer

	held  []byte // the beginning of an incomplete line
	ready []byte // filtered, to be passed on before more is read
	pass  int    // bytes of the current value to pass on, line end included
	drop  int    // bytes of the current value to drop

	room, items int       // bytes and values that this answer can still have
	heard       bool      // the server has sent something over this connection
	refused     error     // what a line of the answer says
	reads       int       // of this answer
	since       time.Time // when the answer had freeReads reads
}

// dialer returns a dial function for connections that are ready for commands, with bounded
// answers.
func (cfg Config) dialer(timeout time.Duration, bare dialFunc) dialFunc {
	guard := &guard{Security: cfg.Security, limit: max(timeout, minBegin)}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		inner, err := bare(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: inner, patience: answerTimeouts * timeout}
		if err := guard.begin(ctx, c, address); err != nil {
			_ = inner.Close()
			return nil, err
		}
		return c, nil
	}
}

// Write implements net.Conn. A new answer begins after it.
func (c *conn) Write(p []byte) (int, error) {
	c.room, c.items, c.reads = maxAnswer, maxItems, 0
	n, err := c.Conn.Write(p)
	if err != nil && !c.heard {
		err = c.lastWords(err)
	}
	return n, err
}

// lastWords returns why the server closed a new connection, if it said so before the write
// failed with err. A refusal in TLS 1.3 or of a connection too many comes before any command.
func (c *conn) lastWords(err error) error {
	if _, said := c.Read(make([]byte, maxLine)); said != nil {
		return said
	}
	return err
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		if c.late() {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := c.Conn.Read(p)
		err = c.hear(p[:n], err)
		read, held := p[:n], c.held
		if len(held) > 0 {
			read, c.held = append(held, read...), nil
		}
		kept := c.filter(read)
		switch c.room -= kept; {
		case c.refused != nil:
			return 0, c.refused
		case c.room < 0 || c.items < 0 || len(c.held) > maxLine:
			return 0, errAnswer
		case len(held) == 0 && (kept > 0 || err != nil): // it is in p already
			return kept, err
		case kept == 0 && err != nil:
			return 0, err
		}
		c.ready = read[:kept] // the next Read returns the error again
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// late reports whether the answer takes too long. Most answers take one read, which the
// client library's own timeout bounds. So the first reads need no clock.
func (c *conn) late() bool {
	if c.reads++; c.reads == freeReads {
		c.since = time.Now()
	}
	return c.reads > freeReads && time.Since(c.since) > c.patience
}

// filter moves what is passed on to the beginning of b, and returns its length.
func (c *conn) filter(b []byte) (kept int) {
	for at := 0; at < len(b); {
		left := b[at:]
		switch {
		case c.pass > 0:
			n := copy(b[kept:], left[:min(c.pass, len(left))])
			kept, at, c.pass = kept+n, at+n, c.pass-n
		case c.drop > 0:
			n := min(c.drop, len(left))
			at, c.drop = at+n, c.drop-n
		default:
			end := bytes.IndexByte(left, '\n') + 1
			if end == 0 {
				c.held = bytes.Clone(left)
				return kept
			}
			kept += c.line(b[kept:], left[:end])
			at += end
		}
	}
	return kept
}

// line copies a line to the beginning of to, and returns its length there. The two
// can overlap.
func (c *conn) line(to, line []byte) int {
	c.refused = cmp.Or(c.refused, refusal(line))
	size, begin, end := sizeOf(line)
	if begin == 0 {
		return copy(to, line)
	}
	c.items--
	if size <= maxValue {
		c.pass = size + len("\r\n")
		return copy(to, line)
	}
	c.drop = size + len("\r\n")
	n := copy(to, line[:begin])
	to[n] = '0' // the size has at least five digits, so there is room for a line end
	n++
	n += copy(to[n:], line[end:])
	return n + copy(to[n:], "\r\n")
}

// sizeOf returns the size that a line announces, and its position in the line, or
// zeros if the line announces none. It must parse the line as the client library
// does: VALUE <key> <flags> <size>[ <id>].
func sizeOf(line []byte) (size, begin, end int) {
	const value = "VALUE "
	if !bytes.HasPrefix(line, []byte(value)) || !bytes.HasSuffix(line, []byte("\r\n")) {
		return 0, 0, 0
	}
	end = len(value) - 1
	for range 3 { // key, flags, size
		if begin = end + 1; begin > len(line) {
			return 0, 0, 0
		}
		if end = bytes.IndexByte(line[begin:], ' '); end < 0 {
			end = len(line) - len("\r\n") - begin
		}
		end += begin
	}
	n, err := strconv.ParseUint(string(line[begin:max(begin, end)]), 10, 32)
	if err != nil {
		return 0, 0, 0 // the client library returns an error
	}
	return int(n), begin, end
}
