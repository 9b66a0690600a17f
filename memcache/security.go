package memcache

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Security protects the connections to memcached. Its zero value does not.
//
// The files are read at every dial, so a change needs no restart. Connections that are
// open stay as they are.
type Security struct {
	// TLS begins every connection with TLS 1.2 or newer. The server's certificate must
	// be valid for its name in Config.Servers. A Unix socket has no TLS.
	TLS bool
	// CAFile has the certificates of the CAs that sign those of the servers, in PEM;
	// empty means the system's.
	CAFile string
	// AuthFile has user:password, for memcached's ASCII authentication (-Y); empty means
	// none. With two lines the first is sent, and the other one if memcached refuses it.
	AuthFile string
}

const (
	// minBegin is how long TLS and the authentication have at least. They take three round
	// trips and some milliseconds of CPU time, which a busy machine does not have at once.
	minBegin = time.Second
	maxCAs   = 1 << 20 // bytes; those of a whole system have 200 KB
	maxUsers = 4 << 10 // bytes
)

// Check returns what is wrong with each field, or nil. It reads the files. The errors
// quote neither their content nor their paths, and name the variables that programs
// read the fields from.
func (s Security) Check(servers []string) (ofTLS, ofCAFile, ofAuthFile error) {
	if s.TLS && slices.ContainsFunc(servers, isSocket) {
		ofTLS = errors.New("MEMCACHED_SERVERS has a unix socket, which has no TLS; use host:port, or leave this unset")
	}
	if s.CAFile != "" && !s.TLS {
		ofCAFile = errors.New("TLS is off; set MEMCACHED_TLS=true, or leave this unset")
	} else if s.CAFile != "" {
		_, ofCAFile = (&guard{Security: s}).authorities()
	}
	if s.AuthFile != "" {
		_, ofAuthFile = readUsers(s.AuthFile)
	}
	return ofTLS, ofCAFile, ofAuthFile
}

// guard begins connections as a Security says.
type guard struct {
	Security
	limit time.Duration // for TLS and the authentication together

	mu      sync.Mutex     // guards content and pool
	content []byte         // of CAFile
	pool    *x509.CertPool // of content
}

// begin begins TLS and authenticates, before the first command.
func (g *guard) begin(ctx context.Context, c *conn, address string) error {
	if g.Security == (Security{}) {
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(g.limit)) // if it fails, so does the first write
	if g.TLS {
		// The dial's own limit is over soon. The deadline bounds the handshake instead.
		if err := g.handshake(context.WithoutCancel(ctx), c, address); err != nil {
			return err
		}
	}
	if g.AuthFile == "" {
		return nil
	}
	users, err := readUsers(g.AuthFile)
	if err != nil {
		return fmt.Errorf("%w: MEMCACHED_AUTH_FILE: %w", ErrFile, err)
	}
	for _, user := range users {
		c.refused = nil
		if err = c.authenticate(user); !errors.Is(err, ErrPassword) {
			return err
		}
	}
	return err
}

// handshake puts TLS below the connection.
func (g *guard) handshake(ctx context.Context, c *conn, address string) error {
	authorities, err := g.authorities()
	if err != nil {
		return fmt.Errorf("%w: MEMCACHED_CA_FILE: %w", ErrFile, err)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	secure := tls.Client(c.Conn, &tls.Config{ServerName: host, RootCAs: authorities, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		return handshakeError(err)
	}
	c.Conn = secure
	return nil
}

// authorities returns the CAs of CAFile, or nil for the system's. It parses each content
// once: a bundle can have hundreds of CAs.
func (g *guard) authorities() (*x509.CertPool, error) {
	if g.CAFile == "" {
		return nil, nil
	}
	content, err := readFile(g.CAFile, maxCAs)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pool != nil && bytes.Equal(content, g.content) {
		return g.pool, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, errors.New("the file has no certificate; use the certificate of the CA that signed memcached's, in PEM")
	}
	g.content, g.pool = content, pool
	return pool, nil
}

// authenticate sends a user and a password as a set command. memcached with -Y ignores
// key, flags and lifetime. Without -Y it stores the value: with a lifetime in the past,
// so that nobody can read the password there.
func (c *conn) authenticate(user string) error {
	if _, err := fmt.Fprintf(c, "set auth 0 -1 %d\r\n%s\r\n", len(user), user); err != nil {
		return err
	}
	switch line, err := bufio.NewReaderSize(c, 64).ReadSlice('\n'); {
	case err != nil:
		return err
	case string(line) != "STORED\r\n":
		return errAnswer
	}
	return nil
}

// readUsers reads the lines of an AuthFile, as memcached expects them on the wire: the
// user, a space and the password.
func readUsers(path string) ([]string, error) {
	content, err := readFile(path, maxUsers)
	if err != nil {
		return nil, err
	}
	for _, mark := range []string{"\ufeff", "\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(content, []byte(mark)) {
			return nil, errors.New("the file begins with a byte order mark (BOM), or is UTF-16; save it as UTF-8 without BOM")
		}
	}
	var users []string
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		user, password, found := strings.Cut(line, ":")
		switch {
		case !found || user == "" || password == "":
			return nil, errors.New("a line is not user:password; write it as in the file of memcached -Y")
		case !printable(line):
			return nil, errors.New("a line has a space or a control character, which memcached does not accept; choose another user or password")
		}
		users = append(users, user+" "+password)
	}
	switch len(users) {
	case 0:
		return nil, errors.New("the file is empty; write user:password into it")
	case 1, 2:
		return users, nil
	}
	return nil, errors.New("the file has more than two lines; use one, or two during a rotation")
}

// readFile reads a regular file of at most limit bytes. Opening without blocking keeps a
// FIFO from stopping the program. The errors do not quote the path: it can be a secret in
// the wrong place.
func readFile(path string, limit int64) (content []byte, err error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // #nosec G304 -- the operator names it
	if err == nil {
		defer func() { _ = file.Close() }()
		var info os.FileInfo
		if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() {
			err = errors.New("not a regular file")
		}
	}
	if err == nil {
		content, err = io.ReadAll(io.LimitReader(file, limit+1))
	}
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	if err != nil {
		var quoted *os.PathError
		if errors.As(err, &quoted) {
			err = quoted.Err
		}
		return nil, fmt.Errorf("the file is unreadable: %w; check its name and that this user can read it", err)
	}
	return content, nil
}
