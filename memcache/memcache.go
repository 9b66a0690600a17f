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
//	P<AppID>:day:<D>  calls on the day D, as       26 hours                       sidecar, by incr
//	                  20261123
//
// Another kind of credential has the same keys behind P<AppID>:<kind>.
// Where there are several servers, all keys of a credential are on the one that
// its entry's key hashes to, see Hash: the apps look there.
//
// Three rules hold for every operation here. A failure is never a miss: ErrMiss
// says that memcached answered and had nothing. A write whose answer was lost is
// read back before it is called a failure. No error carries a value: memcached's
// answers may contain tokens, so they are never quoted.
package memcache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
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
	// Servers are host:port or /path/to.sock; empty means DefaultServer. A name is
	// resolved again at every dial. Several must be named alike, and in the same
	// order, wherever they are used: the names decide which one has a key.
	Servers []string
	// Hash says how several servers share the keys; "" means Ketama.
	Hash Hash
	// Prefix stands before every key; empty means none. At most 120 bytes,
	// none of them a space or a control character.
	Prefix string
	// Timeout bounds one operation on a socket, and a dial; 0 means DefaultTimeout.
	// An answer that comes in pieces takes eleven at most.
	Timeout time.Duration
	// MaxIdleConns is how many idle connections to a server are kept; 0 means
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
	servers []*server
	pick    func(key string) int
	prefix  string
}

// New returns a Store. It does not connect: memcached may come later.
func New(cfg Config) (*Store, error) {
	names := cfg.Servers
	if len(names) == 0 {
		names = []string{DefaultServer}
	}
	if err := errors.Join(CheckServers(names), CheckHash(cfg.Hash), CheckPrefix(cfg.Prefix)); err != nil {
		return nil, err
	}
	s := &Store{pick: cfg.Hash.over(names), prefix: cfg.Prefix}
	for _, name := range names {
		s.servers = append(s.servers, newServer(name, cfg))
	}
	return s, nil
}

// Close closes the idle connections. The Store stays usable.
func (s *Store) Close() error {
	var errs []error
	for _, one := range s.servers {
		errs = append(errs, one.close())
	}
	return errors.Join(errs...)
}

// Ping reports whether every server answers.
func (s *Store) Ping() error {
	var errs []error
	for _, one := range s.servers {
		errs = append(errs, one.retry(one.client.Ping))
	}
	return errors.Join(errs...)
}

// Kind is a kind of credential: what WeChat calls it.
type Kind string

// Kinds of credentials.
const (
	AccessToken  Kind = "access_token"   // what every WeChat API asks for
	JSAPITicket  Kind = "jsapi_ticket"   // signs pages for the JS-SDK
	WXCardTicket Kind = "wx_card_ticket" // signs cards and coupons
)

// Slot is the place of one credential: its entry, record, lease and marks.
type Slot struct {
	server *server
	entry  string
	last   atomic.Pointer[decoded] // the record that was read last
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
	return &Slot{server: s.servers[s.pick(key)], entry: key}, nil
}

// Server names the one that keeps everything of this slot: the one that its
// entry's key hashes to.
func (s *Slot) Server() string { return s.server.name }

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

// printable reports whether s has neither spaces nor control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
