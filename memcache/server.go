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
	name     string
	client   *memcache.Client
	bare     dialFunc // for a connection without TLS and authentication
	singles  *singles
	observe  func(operation string, failure error)
	overlong func(key string)
	dialled  *atomic.Int64 // connections of client since Trim last closed them
	at       *addresses
	security Security
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

func newServer(name string, cfg Config) *server {
	timeout := cmp.Or(cfg.Timeout, DefaultTimeout)
	dialled := new(atomic.Int64)
	at := &addresses{server: name, notify: cfg.SeveralAddresses}
	bare := func(ctx context.Context, network, address string) (net.Conn, error) {
		dial := cfg.Dial
		if dial == nil {
			dial = dialAlone
		}
		return dial(at.watch(ctx), network, address)
	}
	dial := cfg.dialer(timeout, bare)
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
		name:     name,
		bare:     bare,
		client:   newClient(cmp.Or(cfg.MaxIdleConns, DefaultMaxIdleConns), counting),
		singles:  &singles{dial: func() *memcache.Client { return newClient(1, dial) }},
		observe:  cfg.Observe,
		overlong: cfg.Overlong,
		dialled:  dialled,
		at:       at,
		security: cfg.Security,
	}
}

// keptIdle is how many connections for reads Trim keeps: one for polls, and one for
// other reads.
const keptIdle = 2

// Trim closes the idle connections for swaps, and all others if a burst opened more
// than keptIdle. memcached serves 1,024 connections by default, and every process
// needs one. It also closes all to a server whose name has several addresses, so that
// the next operation resolves the name again. Call Trim when no operation runs.
func (s *Store) Trim() {
	for _, one := range s.servers {
		_ = one.singles.close() // a failure to close loses nothing
		if one.dialled.Load() > keptIdle || one.at.areSeveral() {
			one.dialled.Store(0)
			_ = one.client.Close()
		}
	}
}

// close closes the idle connections.
func (s *server) close() error { return errors.Join(s.client.Close(), s.singles.close()) }

// observed calls Config.Observe and returns err.
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

// address is the address of one memcached. Its String is the configured name, so
// every dial resolves it again. The client library alone would resolve it once, and
// never find a memcached whose pod moved.
type address struct{ network, name string }

func (a *address) Network() string { return a.network }
func (a *address) String() string  { return a.name }

// selector sends every key to one server, which the Store has selected.
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

// CheckServer returns an error if a server's name is not valid.
func CheckServer(name string) error {
	if isSocket(name) {
		return nil
	}
	host, port, err := net.SplitHostPort(name)
	if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || portErr != nil || number == 0 {
		return fmt.Errorf("memcache: server %q is neither host:port nor /path/to.sock; write it like memcached:11211", name)
	}
	return nil
}

// CheckServers returns all errors in the names: those of CheckServer, and repeated
// names.
func CheckServers(names []string) error {
	var errs []error
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		errs = append(errs, CheckServer(name))
		if seen[name] {
			errs = append(errs, fmt.Errorf("memcache: server %q is listed twice; list each server once", name))
		}
		seen[name] = true
	}
	return errors.Join(errs...)
}
