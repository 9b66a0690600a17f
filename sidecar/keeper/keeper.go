// Package keeper keeps WeChat's credentials valid. Exactly one of all sidecars renews
// each of them ahead of time, and every other one adopts it. No reader waits while a token
// is valid.
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
//  3. It decides whether the request is planned, or takes one use of the budget
//     (attempt.go).
//  4. It claims: the record gets a doubt before anything is sent (attempt.go).
//  5. It sends one request to WeChat (request.go).
//  6. If that fails, it takes the claim back, or marks the record (record.go). All
//     sidecars wait, or this one hands the renewal over to the others (cooldown.go).
//  7. It writes the record by compare-and-swap (attempt.go), then the entry that apps read
//     (repair.go), and releases the lease (renew.go).
//
// Every 10 to 15 s each sidecar polls record and entry, adopts what is newer, and puts
// back what memcached has lost. An app that misses the entry asks its sidecar. That
// answers from memory at once, or with the token that the running renewal brings.
//
// # Tickets
//
// A ticket is a credential like a token, with its own entry, record and lease. It is
// fetched with the current token instead of the AppSecret (ticket.go). A ticket failure
// never affects the token: its requests have a budget of their own.
//
// # Upstream
//
// A sidecar without the AppSecret asks an upstream instead of WeChat: other sidecars, which
// have it (upstream.go). One of all sidecars asks after a poll, under the same record, lease
// and entry.
//
// # What it promises
//
//  1. One request: While memcached keeps its data and answers arrive, any number of sidecars
//     and readers cause one request to WeChat per renewal.
//  2. Never invalid: No reader gets a token that WeChat refuses, except after an external
//     fetch or a lost answer. Either is repaired within one poll, one report, or the time
//     of the doubt.
//  3. Never backwards: The entry never goes from a newer token to an older one for longer
//     than one poll.
//  4. Never nothing: If a sidecar's memory or memcached has a valid token, its readers get
//     no error because memcached or WeChat fails.
//  5. Never leaked: No AppSecret and no token appears in a log or an error.
//  6. Bounded: While memcached keeps its data, all sidecars together send at most 10
//     unplanned requests for one credential in ten minutes. No sequence of failures,
//     reports, external fetches or restarts changes that.
//
// docs/protocol.md, The claim, lists in rule 9 what stays open.
//
// # Files
//
// The files, in reading order. A function calls functions of its own file and of later
// files only, except that a ticket waits for its token (ticket.go calls credential.go):
//
//	keeper.go      configuration, and what users of the package get
//	owner.go       which account owns a token; an account's AppSecret
//	group.go       all credentials of a sidecar
//	credential.go  one credential, and what its readers get
//	poll.go        polls
//	run.go         a renewal that many callers wait for
//	queue.go       the renewals that nobody waits for
//	renew.go       the journey of a renewal
//	attempt.go     its steps under the lease
//	direct.go      a renewal without memcached
//	upstream.go    a renewal by an upstream
//	request.go     the request to WeChat
//	repair.go      what a poll writes
//	cooldown.go    what follows a failure
//	ticket.go      what is different for tickets
//	record.go      the record in memcached and in memory
//	state.go       the state for people and metrics, and warnings about clocks
//	report.go      reports of invalid tokens
//	backoff.go     when this sidecar tries again, and the budget that bounds it
//	members.go     what credentials use of the group
//	error.go       why there is no credential
//	holding.go     settings, and queries of the held record
//	failpoint.go   failpoints for bench/chaos
package keeper

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Config is what all credentials of a sidecar share.
type Config struct {
	// Store is memcached.
	Store *memcache.Store
	// WeChat sends the requests.
	WeChat *wechat.Client
	// API is how tokens are fetched. Empty: wechat.Token.
	API wechat.API
	// Upstream gives the credentials, instead of WeChat. Nil: WeChat does. With it, WeChat
	// and API are not used.
	Upstream Upstream
	// ReadOnly is true if the Upstream takes no reports: Refresh then starts no renewal.
	ReadOnly bool
	// Name identifies this sidecar in records and logs, for people: the pod's name.
	// Empty: records and logs do not say which sidecar it was.
	Name string
	// Log receives one line for each event that matters. Nil: none.
	Log *slog.Logger
	// Changed is called for each new credential that this sidecar holds, in their order,
	// no matter which sidecar fetched it. A credential that is replaced at once can be
	// left out. It is called without a lock, and must not wait. Nil: no calls.
	Changed func(Change)
	// Wall is the wall clock. Nil: time.Now. Ages and leases are measured on the
	// monotonic clock too, and the more pessimistic of both counts.
	Wall func() time.Time
	// Rand returns a number from 0 to 1 for each jitter. Nil: math/rand. It is called
	// from many goroutines.
	Rand func() float64
}

func (c Config) withDefaults() Config {
	if c.Upstream != nil {
		c.API, c.WeChat = UpstreamAPI, nil
	} else if c.API == "" {
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

// Upstream gives credentials instead of WeChat: sidecars that have the AppSecret.
type Upstream interface {
	// Ask returns the current credential. Its Sent is not used. Every error is a
	// *wechat.Error, or that of ctx.
	Ask(ctx context.Context, q Question) (protocol.Answer, error)
	// Bearer returns the fingerprint of the bearer tokens that Ask sends.
	Bearer() (fingerprint string)
}

// Question is what an Upstream is asked.
type Question struct {
	AppID string
	Kind  memcache.Kind
	// Rejected is a credential that WeChat refused: the answer has another one. Empty: none.
	Rejected string `json:"-"`
}

// Account is one Official Account or mini program.
type Account struct {
	// AppID is required.
	AppID string
	// Secret returns the AppSecret; required, and nil with Config.Upstream. It is called before
	// each request for a token, so that a rotated secret needs no restart. Its error must not
	// quote it.
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
	// Expires is when it expires, on this sidecar's wall clock.
	Expires time.Time
	// Own is true if this sidecar fetched it, and false if another one did.
	Own bool
}

// MaxWait is how long Token and Refresh wait for a renewal. Clients wait a second more.
const MaxWait = 12 * time.Second

// Grant is a credential that is given to a reader.
type Grant struct {
	// Value is the credential.
	Value string
	// ExpiresIn is a promise: WeChat accepts the credential for at least that long, even
	// if it is renewed meanwhile, unless another program fetches one or an app reports
	// it. For a ticket it is the time until it is due, at least 1 s: WeChat does not say
	// whether the next one invalidates it.
	ExpiresIn time.Duration
	// Number orders the credentials of this sidecar's fleet, and Life is how long this one
	// remains valid, for sidecars that ask this one; see protocol.Held.ToDownstream.
	Number int64
	Life   time.Duration
	// Waited is true if the reader waited for a renewal, and false if the credential was
	// in memory.
	Waited bool
}
