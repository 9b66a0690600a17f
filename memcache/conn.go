package memcache

import (
	"bytes"
	"context"
	"net"
	"os"
	"strconv"
	"time"
)

const (
	// maxValue is the longest value in bytes that is read as it is; see conn.
	maxValue = maxRecord
	// maxLine bounds one line of an answer: a key of 250 bytes and four numbers, or
	// a reason.
	maxLine = 2 << 10
	// maxItems and maxAnswer bound one answer, in items and in bytes: to the largest
	// multi-get, with the longest values.
	maxItems  = 2 * PollBatch
	maxAnswer = maxItems * (maxValue + maxLine)
	// answerTimeouts is how many time-outs an answer may take after its first read:
	// the client library allows one for each item.
	answerTimeouts = 10
	// freeReads are done before a clock is looked at: most answers take one.
	freeReads = 2
)

// conn reads along, so that neither a server nor who writes to it can make us hold
// more than maxAnswer, or wait for ever. The client library believes every size
// that it is told, and reads items until there is an END:
//
//	VALUE wx1 0 4000000000 7     4 GB are allocated before the first byte is here
//	VALUE wx1 0 1048576 7        a look at 100 accounts holds 200 of these
//	VALUE a 0 1 1 … VALUE b …    the answer to a get of one key never ends
//
// A value longer than maxValue is none of ours. It is passed on as an empty one,
// under its own CAS id: damaged for every reader, and replaced by a sidecar as any
// other damaged value is.
type conn struct {
	net.Conn
	patience time.Duration // for a whole answer

	held  []byte // the beginning of a line whose end has not come
	ready []byte // to be passed on before anything else is read
	pass  int    // bytes of a value that are passed on, its line end included
	drop  int    // bytes of a value that are not

	room, items int // bytes of this answer, and values, that may still come
	reads       int // of this answer
	since       time.Time
}

// dialer makes connections that read along.
func (cfg Config) dialer(timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	dial := cfg.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		inner, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: inner, patience: answerTimeouts * timeout}, nil
	}
}

// Write implements net.Conn: a question, to which an answer begins.
func (c *conn) Write(p []byte) (int, error) {
	c.room, c.items, c.reads = maxAnswer, maxItems, 0
	return c.Conn.Write(p)
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		if c.late() {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := c.Conn.Read(p)
		read, held := p[:n], c.held
		if len(held) > 0 {
			read, c.held = append(held, read...), nil
		}
		kept := c.along(read)
		if c.room -= kept; c.room < 0 || c.items < 0 || len(c.held) > maxLine {
			return 0, errAnswer
		}
		switch {
		case len(held) == 0 && (kept > 0 || err != nil): // it stands in p already
			return kept, err
		case kept == 0 && err != nil:
			return 0, err
		}
		c.ready = read[:kept] // an error comes again
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// late reports whether the answer has taken too long.
func (c *conn) late() bool {
	if c.reads++; c.reads == freeReads {
		c.since = time.Now()
	}
	return c.reads > freeReads && time.Since(c.since) > c.patience
}

// along goes through what was read and returns how much of it is passed on: that
// stands at the beginning of b then.
func (c *conn) along(b []byte) (kept int) {
	for at := 0; at < len(b); {
		rest := b[at:]
		switch {
		case c.pass > 0:
			n := min(c.pass, len(rest))
			if kept != at { // else it stands there, as nearly always
				copy(b[kept:], rest[:n])
			}
			kept, at, c.pass = kept+n, at+n, c.pass-n
		case c.drop > 0:
			n := min(c.drop, len(rest))
			at, c.drop = at+n, c.drop-n
		default:
			end := bytes.IndexByte(rest, '\n') + 1
			if end == 0 {
				c.held = bytes.Clone(rest)
				return kept
			}
			kept += c.line(b[kept:], rest[:end])
			at += end
		}
	}
	return kept
}

// line passes a line on to the beginning of to, which it may overlap, and returns
// how many bytes it has there.
func (c *conn) line(to, line []byte) int {
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
	to[n] = '0' // the size has five digits or more: there is room for a line end
	n++
	n += copy(to[n:], line[end:])
	return n + copy(to[n:], "\r\n")
}

// sizeOf is the size that a line announces, and where in the line it stands; 0
// and nowhere where it announces none. It must read the line as the client library
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
		return 0, 0, 0 // the client library refuses it
	}
	return int(n), begin, end
}
