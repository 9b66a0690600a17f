// Package memcache reads and writes everything that wxsidecar keeps in memcached.
// No other package connects to memcached.
//
// Every key begins with the optional prefix P and the AppID. Apps read the entry
// only. The sidecars coordinate through the other keys.
//
//	key                        value                         lifetime                   written by
//	P<AppID>                   the entry: the access_token   3600 s, or less if the     sidecar, by add and
//	                           alone, with flags 0           token expires sooner       compare-and-swap
//	P<AppID>:record            JSON, see Record              the token's remaining      sidecar, by add and
//	                                                         life; without one, 2 h     compare-and-swap
//	P<AppID>:lease             the holder's random id;       15 s;                      the sidecar that renews,
//	                           after a failed request        the cooldown               by add and
//	                           JSON, see Cooldown                                       compare-and-swap
//	P<AppID>:report_throttle   mark: a report of an invalid  31 s                       the sidecar that got the
//	                           token led to a renewal, or                               report, and
//	                           to a check                                               compare-and-swap
//	P<AppID>:recent_report     mark: an app reported a       10 min from the last       the sidecar that got the
//	                           token                         report on                  report, and
//	                                                                                    compare-and-swap
//	P<AppID>:force_refresh     mark: stable_token was asked  75 min                     the sidecar that renews
//	                           for another token
//	P<AppID>:planned           mark: the planned request of  half the age at which      the sidecar that renews
//	                           a renewal was sent            the token is due
//	P<AppID>:budget:<0-9>      mark: one of ten uses of the  10 min 1 s                 the sidecar that renews
//	                           budget was taken
//	P<AppID>:handover:<0-4>    mark: a renewal was handed    10 min 1 s                 the sidecar that hands
//	                           over to another sidecar                                  over
//	P<AppID>:upstream_poll     mark: a sidecar without the   11 s                       the sidecar that asks
//	                           AppSecret asked its upstream
//	P<AppID>:<ticket>:token_report
//	                           mark: WeChat refused the      50 min                     the sidecar that renews
//	                           token for a ticket, and the                              the ticket
//	                           token was reported
//	P<AppID>:failures          failed requests since the     1 h from the first on      the sidecar that renews,
//	                           last success, which                                      by incr
//	                           deletes the key
//	P<AppID>:requests:<day>    requests on that day in       26 h from the first on     the sidecar that requests,
//	                           Beijing, as 20261123                                     by incr
//	P<AppID>:quota_read        mark: WeChat's own count of   58 min                     the sidecar that reads it
//	                           requests was read
//	P<AppID>:quota:<api>       the last such count: JSON,    26 h                       the sidecar that read it, by
//	                           see Quota; <api> is token                                add and compare-and-swap
//	                           or stable_token
//	P<AppID>:sent:<api>        requests that the sidecars    30 d from the first on     each sidecar, by incr
//	                           sent to that API
//
// A mark's value is a random id. Before it, report_throttle and recent_report have the
// fingerprint of the reported token, or the word "valid". A mark says that something was done and must
// not be done again while the mark lives. Marks are set by add and never
// refreshed. So a mark whose value is not such an id, or that keeps its id for longer
// than its lifetime, was written by hand, and the next sidecar that needs it replaces it.
// A use of the budget is freed if no request was sent, and force_refresh
// also after the limit of a minute: by compare-and-swap to an exptime in the past, or
// by delete if the server refuses that.
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

// Errors of this package, by cause. Any other error means that memcached failed, or
// that the result is unknown.
var (
	// ErrMiss: memcached answered, and has no value under the key.
	ErrMiss = errors.New("memcache: miss")
	// ErrDamaged: the entry is not a credential. Readers treat it as a miss.
	ErrDamaged = errors.New("memcache: entry is damaged")
	// ErrConflict: the value changed since it was read.
	ErrConflict = errors.New("memcache: value changed since it was read")
	// ErrHeld: another sidecar holds the lease, or a cooldown runs.
	ErrHeld = errors.New("memcache: lease is held")
	// ErrLost: this holder does not have the lease any more.
	ErrLost = errors.New("memcache: lease is lost")
	// ErrBadAppID: the AppID is not 1 to 64 letters, digits, _ or -.
	ErrBadAppID = errors.New("memcache: AppID does not match [A-Za-z0-9_-]{1,64}")
)

// Defaults of Config.
const (
	DefaultServer       = "127.0.0.1:11211"
	DefaultTimeout      = 200 * time.Millisecond
	DefaultMaxIdleConns = 128
)

// maxPrefix leaves room for the longest AppID and suffix: memcached allows 250
// bytes for a key.
const maxPrefix = 120

// Config says where memcached is. Its zero value uses the defaults.
type Config struct {
	// Servers are host:port or /path/to.sock; empty means DefaultServer. Every dial
	// resolves a name again. All programs must list several servers by the same
	// names in the same order, because these decide which server has a key.
	Servers []string
	// Hash says how several servers share the keys; "" means ring.Ketama.
	Hash ring.Hash
	// Prefix begins every key; empty means none. It has at most 120 bytes, without
	// spaces and control characters.
	Prefix string
	// Timeout bounds one read or write, and a dial; 0 means DefaultTimeout. An answer
	// that arrives in pieces can take eleven timeouts. After the dial, TLS and the
	// authentication have a second together, or Timeout if that is longer.
	Timeout time.Duration
	// Security protects the connections by TLS and a password; the zero value does not.
	Security Security
	// MaxIdleConns is the number of idle connections kept to a server; 0 means
	// DefaultMaxIdleConns. If more calls run at a time, most of them dial. Measured
	// with 2 and bursts of 100: six gets in ten dialled, and took 3 to 5 times as
	// long. With 128 it was one in two hundred.
	MaxIdleConns int
	// Dial makes a connection; nil means net.Dialer with a Resolver of its own.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// SeveralAddresses is called if a dial resolves a server's name to several addresses
	// of one family, with these: sidecars and apps can then use different servers. It is
	// called again if they change, and without addresses once there is one of a family.
	// It must be fast. A Dial of its own must pass its context to net.Dialer. Nil means
	// that nothing is called.
	SeveralAddresses func(server string, several []string)
	// Observe is called after every operation, with one of Operations and its
	// failure. A miss or a conflict is not a failure. It must be fast; nil means
	// that nothing is called.
	Observe func(operation string, failure error)
	// Overlong is called after a mark was replaced that no sidecar can have written. The
	// key carries no secret. Nil means that nothing is called.
	Overlong func(key string)
}

// Operations are the names that Config.Observe gets.
var Operations = []string{opGet, opMultiGet, opAdd, opSwap, opIncrement, opDelete}

const (
	opGet       = "get"
	opMultiGet  = "multiget"
	opAdd       = "add"
	opSwap      = "cas"
	opIncrement = "incr"
	opDelete    = "delete"
)

// Store reads and writes memcached. It is safe for concurrent use.
type Store struct {
	servers []*server
	pick    func(key string) int
	prefix  string
}

// New returns a Store. It does not connect, so memcached can start later.
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

// Kind is a kind of credential, by WeChat's name.
type Kind string

// Kinds of credentials.
const (
	AccessToken  Kind = "access_token"   // what every WeChat API asks for
	JSAPITicket  Kind = "jsapi_ticket"   // signs pages for the JS-SDK
	WXCardTicket Kind = "wx_card_ticket" // signs cards and coupons
)

// Slot accesses the keys of one credential: its entry, record, lease, marks and
// counts.
type Slot struct {
	server *server
	entry  string
	last   atomic.Pointer[decoded] // the record that was read last
	seen   sightings               // marks of others
}

// Slot returns the Slot of appID's credential of this kind, or ErrBadAppID.
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

// Server returns the name of the server that has the credential's keys: the one that
// the entry's key hashes to.
func (s *Slot) Server() string { return s.server.name }

// ValidAppID reports whether s is 1 to 64 letters, digits, _ or -, and not an AppSecret.
// Any other AppID must not reach memcached: the client library accepts an empty key, and
// memcached then runs the value as a command.
func ValidAppID(s string) bool {
	if s == "" || len(s) > 64 || IsAppSecret(s) {
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

// CheckPrefix returns an error if a key prefix is not valid.
func CheckPrefix(prefix string) error {
	if len(prefix) > maxPrefix {
		return fmt.Errorf("memcache: the key prefix has %d bytes; use at most %d", len(prefix), maxPrefix)
	}
	if !printable(prefix) {
		return errors.New("memcache: the key prefix has a space or a control character; remove it")
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
