package memcache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/bradfitz/gomemcache/memcache"
)

// server is one memcached.
type server struct {
	name    string
	client  *memcache.Client
	singles *singles
	observe func(operation string, failure error)
	dialled *atomic.Int64 // connections of client since the last Trim that closed any
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

func newServer(name string, cfg Config) *server {
	dialled, timeout := new(atomic.Int64), cmp.Or(cfg.Timeout, DefaultTimeout)
	dial := cfg.dialer(timeout)
	counting := func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled.Add(1)
		return dial(ctx, network, address)
	}
	newClient := func(maxIdle int, dial dialFunc) *memcache.Client {
		client := memcache.NewFromSelector(newSelector(name))
		client.DialContext = dial
		client.Timeout = timeout
		client.MaxIdleConns = maxIdle
		return client
	}
	return &server{
		name:    name,
		client:  newClient(cmp.Or(cfg.MaxIdleConns, DefaultMaxIdleConns), counting),
		singles: &singles{dial: func() *memcache.Client { return newClient(1, dial) }},
		observe: cfg.Observe,
		dialled: dialled,
	}
}

// atRest is how many connections to read from are kept at rest: one that looks,
// and one for whatever comes meanwhile.
const atRest = 2

// Trim closes idle connections that nothing needs at rest: those that swap, and all
// where a burst has opened more than a few. memcached serves 1,024 at a time if not
// told otherwise, and every process needs one. Call it when nothing is under way.
func (s *Store) Trim() {
	for _, one := range s.servers {
		_ = one.singles.close() // nothing is lost where one fails to
		if one.dialled.Load() > atRest {
			one.dialled.Store(0)
			_ = one.client.Close()
		}
	}
}

// close closes the idle connections.
func (s *server) close() error { return errors.Join(s.client.Close(), s.singles.close()) }

// observed tells of an operation and passes its error on.
func (s *server) observed(operation string, err error) error {
	if s.observe == nil {
		return err
	}
	failure := err
	if errors.Is(err, ErrMiss) || errors.Is(err, ErrConflict) {
		failure = nil
	}
	s.observe(operation, failure)
	return err
}

// address is where one memcached is. Its String is the name as configured, so
// that every dial resolves it again; the client library alone would resolve it
// once, and a memcached whose pod moved would never be found again.
type address struct{ network, name string }

func (a *address) Network() string { return a.network }
func (a *address) String() string  { return a.name }

// selector sends every key to the one server: which one that is, the Store has
// decided.
type selector struct{ address *address }

func newSelector(name string) selector {
	if isSocket(name) {
		return selector{&address{"unix", name}}
	}
	return selector{&address{"tcp", name}}
}

func (s selector) PickServer(string) (net.Addr, error)   { return s.address, nil }
func (s selector) Each(visit func(net.Addr) error) error { return visit(s.address) }

// isSocket reports whether a server's name is the path of a unix socket.
func isSocket(name string) bool { return strings.HasPrefix(name, "/") }

// CheckServer reports what is wrong with a server's name.
func CheckServer(name string) error {
	if isSocket(name) {
		return nil
	}
	host, port, err := net.SplitHostPort(name)
	if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || portErr != nil || number == 0 {
		return fmt.Errorf("memcache: server %q is neither host:port nor /path/to.sock", name)
	}
	return nil
}

// CheckServers reports everything that is wrong with the names: that one is no
// server, or stands twice.
func CheckServers(names []string) error {
	var errs []error
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		errs = append(errs, CheckServer(name))
		if seen[name] {
			errs = append(errs, fmt.Errorf("memcache: server %q is named twice", name))
		}
		seen[name] = true
	}
	return errors.Join(errs...)
}
