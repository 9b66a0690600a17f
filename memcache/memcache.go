// Package memcache reads and writes everything that wxsidecar keeps in memcached.
// No other package talks to memcached.
//
// Every key begins with the optional prefix P and the AppID. Apps read the entry
// only. The sidecars coordinate through the other keys.
//
//	key                        value                         lifetime                   written by
//	P<AppID>                   the entry: the access_token   3600 s, or less if the     sidecar, by add and
//	                           alone, with flags 0           token expires sooner       compare-and-swap
//	P<AppID>:record            JSON, see Record              the token's life;          sidecar, by add and
//	                                                         without a token, 2 h       compare-and-swap
//	P<AppID>:lease             the holder's random id;       15 s;                      the sidecar that renews,
//	                           after a failed request        the cooldown               by add and
//	                           JSON, see Cooldown                                       compare-and-swap
//	P<AppID>:report_throttle   mark: a report of an invalid  31 s                       the sidecar that got the
//	                           token led to a renewal                                   report
//	P<AppID>:force_refresh     mark: stable_token was asked  75 min                     the sidecar that renews
//	                           for another token
//	P<AppID>:planned           mark: the planned request of  half the age at which      the sidecar that renews
//	                           a renewal was sent            the token is due
//	P<AppID>:budget:<0-9>      mark: one of ten uses of the  10 min 1 s                 the sidecar that renews
//	                           budget was taken
//	P<AppID>:handover:<0-4>    mark: a renewal was handed    10 min 1 s                 the sidecar that hands
//	                           over to another sidecar                                  over
//	P<AppID>:<ticket>:token_report
//	                           mark: WeChat refused the      50 min                     the sidecar that renews
//	                           token for a ticket, and the                              the ticket
//	                           token was reported
//	P<AppID>:failures          failed requests since the     1 h from the first on      the sidecar that renews,
//	                           last success                                             by incr
//	P<AppID>:requests:<day>    requests on that day in       26 h from the first on     the sidecar that requests,
//	                           Beijing, as 20261123                                     by incr
//
// A mark's value is a random id. A mark says that something was done and must
// not be done again while the mark lives. Marks are set by add and never
// refreshed. A use of the budget is freed by compare-and-delete if the request
// was not sent.
//
// A ticket is a credential of its own. Its keys are the same behind P<AppID>:<kind>:
// P<AppID>:jsapi_ticket or P<AppID>:wx_card_ticket is its entry, and
// P<AppID>:jsapi_ticket:record its record.
// With several servers, all keys of a credential are on one server: the one that
// the entry's key hashes to, see the package ring. Apps read the entry there.
//
// A record has a version, see RecordVersion. A record of a newer version is served
// and put back byte for byte, so that old and new sidecars can run side by side.
// The files in testdata/golden are values of version 1. Every later version must
// read them.
//
// Three rules hold for every operation:
//
//   - A failure is never a miss. ErrMiss means that memcached answered and has no
//     value.
//   - If the answer to a write is lost, the operation reads the value back before it
//     returns an error.
//   - No error contains a value. memcached's answers can contain tokens, so no error
//     quotes them.
package memcache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache/ring"
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
	// Hash says how several servers share the keys; "" means ring.Ketama.
	Hash ring.Hash
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
	if err := errors.Join(CheckServers(names), ring.Check(cfg.Hash), CheckPrefix(cfg.Prefix)); err != nil {
		return nil, err
	}
	s := &Store{pick: ring.New(cfg.Hash, names), prefix: cfg.Prefix}
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
