// Package keeper keeps WeChat's credentials valid. Exactly one of all sidecars renews
// each of them ahead of time, every other one adopts it, and no reader waits or gets an
// invalid token.
//
// Package protocol makes the decisions. This package makes them happen: it reads the
// clocks, memcached and WeChat, and has all goroutines, locks and logs.
//
// # The journey of a renewal
//
//  1. A renewal is wanted: the alarm of a due credential rings, a poll finds one, or an
//     app reports an invalid token (poll.go, run.go).
//  2. The sidecar reads the record. If another one has renewed, it adopts that.
//     Otherwise it takes the lease and reads the record again (renew.go).
//  3. It decides whether the request is planned, or takes one use of the budget.
//  4. It claims: the record gets a doubt before anything is sent (attempt.go).
//  5. It sends one request to WeChat (request.go).
//  6. If that fails, all sidecars wait, or this one hands the renewal over to the others
//     (cooldown.go).
//  7. It writes the record by compare-and-swap, then the entry that apps read, and gives
//     the lease back (record.go, repair.go).
//
// Every 10 to 15 s each sidecar polls record and entry, adopts what is newer, and puts
// back what memcached has lost. An app that misses the entry asks its sidecar, which
// answers from memory at once, or with the token that the running renewal brings.
//
// # Tickets
//
// A ticket is a credential like a token, with its own entry, record and lease. It is
// fetched with the current token instead of the AppSecret (ticket.go). A ticket failure
// never affects the token: its requests have a budget of their own.
//
// # What it promises
//
//  1. One call: while memcached holds and answers arrive, any number of sidecars and
//     readers cause one request to WeChat per renewal.
//  2. Never dead: no reader is given a token that WeChat would refuse, except after an
//     external fetch or a lost answer. After either it heals within one poll, one report,
//     or the time of the doubt.
//  3. Never backwards: the entry never goes from a newer token to an older one for longer
//     than one poll.
//  4. Never nothing: with a valid token in a sidecar's memory or in memcached, its readers
//     get no error because memcached or WeChat fails.
//  5. Never leaked: no AppSecret and no token appears in a log or an error.
//  6. Bounded: no sequence of failures, reports, external fetches or restarts makes all
//     sidecars send more than 10 unplanned requests for one credential in ten minutes
//     while memcached holds.
//
// # Files
//
// In the order in which they are read. A function calls functions of its own file and of
// later files only, except that a ticket waits for its token (ticket.go calls
// credential.go):
//
//	keeper.go      what users of the package see
//	owner.go       whose token is this?
//	group.go       all credentials of a sidecar
//	credential.go  one credential, and what its readers get
//	poll.go        polls
//	run.go         a renewal that many callers wait for
//	queue.go       the renewals that nobody waits for
//	renew.go       the story of a renewal
//	attempt.go     its steps under the lease
//	direct.go      a renewal without memcached
//	request.go     the request to WeChat
//	repair.go      what a poll writes
//	cooldown.go    what follows a failure
//	ticket.go      what is different for tickets
//	record.go      the record in memcached and in memory
//	state.go       what people and metrics see
//	report.go      reports of invalid tokens
//	clock.go       warnings about clocks
//	backoff.go     when this sidecar tries again
//	members.go     the group as its credentials see it
//	error.go       why there is no credential
//	holding.go     questions to what is held
//	failpoint.go   where bench/chaos stops a renewal
package keeper

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Config is what all credentials of a sidecar share.
type Config struct {
	// Store is memcached.
	Store *memcache.Store
	// WeChat makes the calls.
	WeChat *wechat.Client
	// API is how tokens are fetched; "" means wechat.Token.
	API wechat.API
	// Name tells this sidecar from others in records and logs, for people: the
	// pod's name. It may be empty.
	Name string
	// Log receives one line per event that matters; nil means none.
	Log *slog.Logger
	// Changed is notified of each credential that this sidecar holds from now on, in
	// their order, no matter which sidecar fetched it. A credential that is replaced at
	// once can be left out. It is called without a lock, and must not wait. Nil: nothing
	// is notified.
	Changed func(Change)
	// Wall is the wall clock; nil means time.Now. Lives and leases are measured
	// on the monotonic clock as well, and the more pessimistic of both counts.
	Wall func() time.Time
	// Rand spreads load: a number from 0 to 1 for every jitter; nil means math/rand.
	// It is called from many goroutines.
	Rand func() float64
}

func (c Config) withDefaults() Config {
	if c.API == "" {
		c.API = wechat.Token
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	return c
}

// Account is one Official Account or mini program.
type Account struct {
	AppID string
	// Secret reads the AppSecret. It is called before every call for a token, so
	// that a rotated secret needs no restart. Its error must not quote it.
	Secret func() (string, error)
	// Tickets are the kinds of tickets to keep beside the token: JSAPITicket,
	// WXCardTicket. Nil: none.
	Tickets []memcache.Kind
}

// Change is a credential that a sidecar holds from now on.
type Change struct {
	AppID string
	Kind  memcache.Kind
	// Value is the credential.
	Value string
	// Number orders the changes of one credential, as a record's does.
	Number int64
	// Expires is when WeChat ends it, on this sidecar's wall clock.
	Expires time.Time
	// Own: this sidecar fetched it; else it saw that another one had.
	Own bool
}

// Grant is a credential as it is given to a reader.
type Grant struct {
	// Value is the credential.
	Value string
	// ExpiresIn is a promise: WeChat accepts the credential for at least that long,
	// renewal ahead of time included, unless another program fetches one or an app
	// reports it. For a ticket it is the time until it is due, at least 1 s: WeChat
	// does not say whether the next one ends it.
	ExpiresIn time.Duration
	// Waited is true if a renewal brought it, and false if it was remembered.
	Waited bool
}
