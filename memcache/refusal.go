package memcache

import (
	"bytes"
	"errors"
	"net"
)

// Errors of a memcached that does not do what it was asked, by cause. They are in this
// package's words: the server's own can contain a token.
var (
	// ErrUnauthenticated: memcached runs with -Y.
	ErrUnauthenticated = errors.New("memcache: memcached demands a user and a password (-Y); run it without, behind a NetworkPolicy")
	// ErrTLS: the server sent an alert of TLS.
	ErrTLS = errors.New("memcache: the server demands TLS; run memcached without -Z, behind a NetworkPolicy")
	// ErrClosed: the server closed a new connection without an answer.
	ErrClosed = errors.New("memcache: the server closed a new connection without an answer; " +
		"it ended, demands TLS (memcached -Z) or SASL authentication (-S), or is no memcached")
	// ErrSilent: the server did not answer the first request over a connection in time.
	ErrSilent = errors.New("memcache: the server accepts connections and does not answer in time; " +
		"it is overloaded or stopped, or demands SASL authentication (memcached -S)")
	// ErrConnections: memcached has no free connection.
	ErrConnections = errors.New("memcache: memcached has too many open connections; raise its limit (-c)")
	// ErrMemory: memcached has no memory for the value.
	ErrMemory = errors.New("memcache: memcached answered SERVER_ERROR: out of memory; raise its limit (-m), or let it evict (no -M)")
	// ErrBackend: a proxy does not reach the memcached behind it.
	ErrBackend = errors.New("memcache: a proxy answered SERVER_ERROR: its memcached is unreachable; check the servers of the proxy")
	// ErrServer: memcached answered SERVER_ERROR for another reason.
	ErrServer = errors.New("memcache: memcached answered SERVER_ERROR; see its log")
)

var refusals = []error{ErrUnauthenticated, ErrTLS, ErrClosed, ErrSilent, ErrConnections, ErrMemory, ErrBackend, ErrServer}

// serverErrors has words of a SERVER_ERROR, in lower case, and what they mean: of
// memcached and its own proxy, twemproxy and mcrouter.
var serverErrors = []struct {
	words string
	means error
}{
	{"out of memory", ErrMemory},
	{"connection refused", ErrBackend},
	{"connection timed out", ErrBackend},
	{"connection reset", ErrBackend},
	{"host is down", ErrBackend},
	{"no route to host", ErrBackend},
	{"unreachable", ErrBackend},
	{"backend", ErrBackend},
	{"mc_res_tko", ErrBackend},
	{"mc_res_connect", ErrBackend},
	{"mc_res_timeout", ErrBackend},
	{"server is ejected", ErrBackend},
}

// refusal returns what a line of an answer says instead of an answer, or nil.
func refusal(line []byte) error {
	if reason, ok := bytes.CutPrefix(line, []byte("SERVER_ERROR ")); ok {
		reason = bytes.ToLower(reason)
		for _, one := range serverErrors {
			if bytes.Contains(reason, []byte(one.words)) {
				return one.means
			}
		}
		return ErrServer
	}
	switch {
	case bytes.HasPrefix(line, []byte("CLIENT_ERROR unauthenticated")), bytes.HasPrefix(line, []byte("CLIENT_ERROR authentication failure")):
		return ErrUnauthenticated
	case bytes.HasPrefix(line, []byte("ERROR Too many open connections")):
		return ErrConnections
	}
	return nil
}

// tlsAlert is the first byte of TLS's answer to what is not TLS.
const tlsAlert = 0x15

// unanswered is a failure before the first answer over a connection. It also stays the
// failure that it is: a closed connection is tried again, and a timeout is not.
type unanswered struct{ says, because error }

func (u unanswered) Error() string   { return u.says.Error() }
func (u unanswered) Unwrap() []error { return []error{u.says, u.because} }

// hear notes the first bytes of a connection, and returns err with its probable cause if
// none came.
func (c *conn) hear(b []byte, err error) error {
	if c.heard { // nothing is allocated for the usual answer
		return err
	}
	var network net.Error
	switch {
	case len(b) > 0:
		c.heard = true
		if b[0] == tlsAlert {
			c.refused = ErrTLS
		}
	case brokenConnection(err):
		return unanswered{ErrClosed, err}
	case errors.As(err, &network) && network.Timeout():
		return unanswered{ErrSilent, err}
	}
	return err
}
