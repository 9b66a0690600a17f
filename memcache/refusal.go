package memcache

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
)

// Errors of a memcached that does not do what it was asked, by cause. They are in this
// package's words: the server's own can contain a token.
var (
	// ErrUnauthenticated: memcached runs with -Y, and no password was sent.
	ErrUnauthenticated = errors.New("memcache: memcached demands a user and a password (-Y); set MEMCACHED_AUTH_FILE")
	// ErrPassword: memcached does not know the user, or refuses the password.
	ErrPassword = errors.New("memcache: memcached refuses the user or the password in the file of MEMCACHED_AUTH_FILE; " +
		"write a line of memcached's own file (-Y) into it")
	// ErrTLS: the server uses TLS, and the connection does not.
	ErrTLS = errors.New("memcache: the server demands TLS (memcached -Z); set MEMCACHED_TLS=true")
	// ErrNoTLS: the connection begins with TLS, and the server does not use it.
	ErrNoTLS = errors.New("memcache: the server does not use TLS; remove MEMCACHED_TLS, or run memcached with -Z")
	// ErrCA: the certificate of the server is signed by nobody who is trusted.
	ErrCA = errors.New("memcache: the server's certificate is signed by an unknown CA; set MEMCACHED_CA_FILE to a file with the certificate of that CA")
	// ErrCertificateName: the certificate is that of another server.
	ErrCertificateName = errors.New("memcache: the server's certificate is for another name; use a name in MEMCACHED_SERVERS that the certificate has")
	// ErrCertificate: the certificate has another fault.
	ErrCertificate = errors.New("memcache: the server's certificate has expired or is not valid; renew it, and check this machine's clock")
	// ErrHandshake: the two sides do not agree about TLS.
	ErrHandshake = errors.New("memcache: the TLS handshake failed; memcached must accept TLS 1.2 or newer and demand no client certificate (ssl_verify_mode)")
	// ErrFile: a file of Security cannot be used. Further words name its variable.
	ErrFile = errors.New("memcache: a file cannot be used")
	// ErrClosed: the server closed a new connection without an answer.
	ErrClosed = errors.New("memcache: the server closed a new connection without an answer; it ended, or is no memcached, " +
		"or demands TLS (set MEMCACHED_TLS=true) or SASL authentication (memcached -S), which is not supported")
	// ErrSilent: the server did not answer the first request over a connection in time.
	ErrSilent = errors.New("memcache: the server accepts connections and does not answer in time; " +
		"it is overloaded or stopped, or demands SASL authentication (memcached -S), which is not supported")
	// ErrConnections: memcached has no free connection.
	ErrConnections = errors.New("memcache: memcached has too many open connections; raise its limit (-c)")
	// ErrMemory: memcached has no memory for the value.
	ErrMemory = errors.New("memcache: memcached answered SERVER_ERROR: out of memory; raise its limit (-m), or let it evict (no -M)")
	// ErrBackend: a proxy does not reach the memcached behind it.
	ErrBackend = errors.New("memcache: a proxy answered SERVER_ERROR: its memcached is unreachable; check the servers of the proxy")
	// ErrServer: memcached answered SERVER_ERROR for another reason.
	ErrServer = errors.New("memcache: memcached answered SERVER_ERROR; see its log")
)

// misconfigured are the refusals of a server that works, and that another configuration
// reaches.
var misconfigured = []error{
	ErrUnauthenticated, ErrPassword, ErrTLS, ErrNoTLS, ErrCA, ErrCertificateName, ErrCertificate, ErrHandshake,
}

var refusals = append([]error{ErrClosed, ErrSilent, ErrConnections, ErrMemory, ErrBackend, ErrServer}, misconfigured...)

// Misconfigured reports whether a failure is one that only a person can end: Security does
// not fit the server, or a file of it cannot be used. See Slot.Diagnose too.
func Misconfigured(err error) bool {
	return errors.Is(err, ErrFile) || slices.ContainsFunc(misconfigured, func(one error) bool { return errors.Is(err, one) })
}

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
	case bytes.HasPrefix(line, []byte("CLIENT_ERROR unauthenticated")):
		return ErrUnauthenticated
	case bytes.HasPrefix(line, []byte("CLIENT_ERROR authentication failure")):
		return ErrPassword
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
	switch {
	case c.heard:
	case len(b) > 0:
		c.heard = true
		if b[0] == tlsAlert {
			c.refused = ErrTLS
		}
	case err != nil:
		return withoutAnswer(err)
	}
	return err
}

// withoutAnswer returns the probable cause of a failure before the first answer. It is
// apart from hear, whose variables would be on the heap for every read.
func withoutAnswer(err error) error {
	var network net.Error
	var alert *net.OpError // in TLS 1.3, the server can refuse a handshake that has ended for the client
	switch {
	case brokenConnection(err):
		return unanswered{ErrClosed, err}
	case errors.As(err, &alert) && alert.Op == "remote error":
		return ErrHandshake
	case errors.As(err, &network) && network.Timeout():
		return unanswered{ErrSilent, err}
	}
	return err
}

// handshakeError returns the cause of a handshake that failed.
func handshakeError(err error) error {
	var (
		plain       tls.RecordHeaderError
		name        x509.HostnameError
		authority   x509.UnknownAuthorityError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &plain):
		return ErrNoTLS
	case errors.As(err, &name):
		return ErrCertificateName
	case errors.As(err, &authority):
		return ErrCA
	case errors.As(err, &certificate):
		return ErrCertificate
	}
	if err = withoutAnswer(err); errors.Is(err, ErrClosed) || errors.Is(err, ErrSilent) {
		return err
	}
	return ErrHandshake
}
