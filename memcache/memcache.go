// Package memcache is what wxsidecar keeps in memcached, and the only door to it.
//
// Everything lives under the AppID, behind an optional prefix P. Apps read the
// entry and nothing else; the other keys are how sidecars agree with each other.
//
//	key               value                        lifetime                       written by
//	P<AppID>          the access_token, bare       3600 s, less where the token   sidecar
//	                  (the entry; flags 0)         itself dies sooner
//	P<AppID>:record   JSON, see Record             the token's own life           sidecar, by compare-and-swap
//	P<AppID>:lease    the holder's random id, or   15 s; the wait                 sidecar, by add and
//	                  JSON after a failed call,                                   compare-and-swap
//	                  see Wait
//	P<AppID>:<mark>   a random id: this was done   as long as it counts       sidecar, by add
//	                  and must not be done again
//	                  soon
//	P<AppID>:tries    calls since the last         an hour                        sidecar, by incr
//	                  success
//
// Another kind of credential has the same keys behind P<AppID>:<kind>.
//
// Three rules hold for every operation here. A failure is never a miss: ErrMiss
// says that memcached answered and had nothing. A write whose answer was lost is
// read back before it is called a failure. No error carries a value: memcached's
// answers may contain tokens, so they are never quoted.
package memcache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// Errors of this package, by cause. Anything else means that memcached could
// not be asked, or that its answer is unknown.
var (
	// ErrMiss: memcached answered and holds nothing under the key.
	ErrMiss = errors.New("memcache: miss")
	// ErrDamaged: the entry is there and is no credential. Readers treat it as a miss.
	ErrDamaged = errors.New("memcache: entry is damaged")
	// ErrConflict: somebody else changed the value since it was read.
	ErrConflict = errors.New("memcache: changed by somebody else")
	// ErrHeld: the lease is somebody else's, or the fleet waits.
	ErrHeld = errors.New("memcache: lease is held")
	// ErrLost: the lease is not ours any more.
	ErrLost = errors.New("memcache: lease is lost")
	// ErrBadAppID: the AppID is not 1 to 64 letters, digits, _ or -.
	ErrBadAppID = errors.New("memcache: AppID is not of the form [A-Za-z0-9_-]{1,64}")
)

// Defaults of Config.
const (
	DefaultServer       = "127.0.0.1:11211"
	DefaultTimeout      = 200 * time.Millisecond
	DefaultMaxIdleConns = 128
)

// maxPrefix leaves room for the longest AppID and the longest suffix within
// the 250 bytes that memcached allows a key.
const maxPrefix = 120

// Config says where memcached is. Its zero value is the default everywhere.
type Config struct {
	// Servers is host:port or /path/to.sock; empty means DefaultServer. This
	// version takes exactly one. A name is resolved again at every dial.
	Servers []string
	// Prefix stands before every key; empty means none. At most 120 bytes,
	// none of them a space or a control character.
	Prefix string
	// Timeout bounds one operation on a socket, and a dial; 0 means DefaultTimeout.
	Timeout time.Duration
	// MaxIdleConns is how many idle connections are kept; 0 means
	// DefaultMaxIdleConns. Below the number of concurrent calls most calls
	// dial: with 2 and bursts of 100, six gets of ten did and took 3 to 5
	// times as long; with 128, one of two hundred.
	MaxIdleConns int
	// Dial makes a connection; nil means net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Observe is told of every operation when it has ended, by one of the names in
	// Operations, and how it failed: nil where memcached did what was asked or
	// said why not, a miss or a conflict say. It must be fast; nil means nobody.
	Observe func(operation string, failure error)
}

// Operations are what Config.Observe is told of.
var Operations = []string{opGet, opMultiGet, opAdd, opSwap, opIncrement, opDelete}

const (
	opGet       = "get"
	opMultiGet  = "multiget"
	opAdd       = "add"
	opSwap      = "cas"
	opIncrement = "incr"
	opDelete    = "delete"
)

// Store is memcached as wxsidecar uses it. It is safe for concurrent use.
type Store struct {
	client  *memcache.Client
	singles *singles
	prefix  string
	observe func(operation string, failure error)
}

// New returns a Store. It does not connect: memcached may come later.
func New(cfg Config) (*Store, error) {
	servers := cfg.Servers
	if len(servers) == 0 {
		servers = []string{DefaultServer}
	}
	if len(servers) > 1 {
		return nil, fmt.Errorf("memcache: %d servers named, this version keeps all keys on one: name one", len(servers))
	}
	if err := CheckServer(servers[0]); err != nil {
		return nil, err
	}
	if err := CheckPrefix(cfg.Prefix); err != nil {
		return nil, err
	}
	newClient := func(maxIdle int) *memcache.Client {
		client := memcache.NewFromSelector(newSelector(servers[0]))
		client.DialContext = cfg.Dial
		client.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
		client.MaxIdleConns = maxIdle
		return client
	}
	return &Store{
		client:  newClient(cmp.Or(cfg.MaxIdleConns, DefaultMaxIdleConns)),
		singles: &singles{dial: func() *memcache.Client { return newClient(1) }},
		prefix:  cfg.Prefix,
		observe: cfg.Observe,
	}, nil
}

// observed tells of an operation and passes its error on.
func (s *Store) observed(operation string, err error) error {
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

// Close closes the idle connections. The Store stays usable.
func (s *Store) Close() error { return errors.Join(s.client.Close(), s.singles.close()) }

// Ping reports whether memcached answers.
func (s *Store) Ping() error { return s.retry(s.client.Ping) }

// Kind is a kind of credential: what WeChat calls it.
type Kind string

// AccessToken is the credential that every WeChat API asks for.
const AccessToken Kind = "access_token"

// Slot is the place of one credential: its entry, record, lease and marks.
type Slot struct {
	store *Store
	entry string
}

// Slot returns the place of appID's credential of this kind, or ErrBadAppID.
func (s *Store) Slot(appID string, kind Kind) (*Slot, error) {
	if !ValidAppID(appID) {
		return nil, ErrBadAppID
	}
	key := s.prefix + appID
	if kind != AccessToken {
		key += ":" + string(kind)
	}
	return &Slot{store: s, entry: key}, nil
}

// ValidAppID reports whether s is 1 to 64 letters, digits, _ or -. Anything
// else is refused before it reaches memcached: the client library lets an empty
// key through, and memcached then runs the value as a command.
func ValidAppID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// CheckPrefix reports what is wrong with a prefix.
func CheckPrefix(prefix string) error {
	if len(prefix) > maxPrefix {
		return fmt.Errorf("memcache: prefix has %d bytes, at most %d leave room for the keys", len(prefix), maxPrefix)
	}
	if !printable(prefix) {
		return errors.New("memcache: prefix has a space or a control character")
	}
	return nil
}

// CheckServer reports what is wrong with a server's name.
func CheckServer(server string) error {
	if strings.HasPrefix(server, "/") {
		return nil
	}
	host, port, err := net.SplitHostPort(server)
	if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || portErr != nil || number == 0 {
		return fmt.Errorf("memcache: server %q is neither host:port nor /path/to.sock", server)
	}
	return nil
}

// printable reports whether s has neither spaces nor control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
