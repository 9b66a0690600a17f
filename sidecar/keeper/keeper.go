// Package keeper keeps WeChat's credentials alive: exactly one of all sidecars
// renews each of them ahead of time, every other one sees it, and no reader
// waits or meets a dead token.
//
// # A token's journey
//
//  1. A timer says that the token is due, 300 s before its entry would lapse
//     (schedule.go).
//  2. The sidecar reads the record. Somebody has renewed already: adopt that
//     (memory.go). Else it takes the lease with an add: one sidecar gets it.
//  3. The lease in hand, it reads the record again: the one before may just have
//     finished (renew.go).
//  4. It calls WeChat, if the lease is still its own and lives long enough to
//     outlast the call (fetch.go).
//  5. The answer is here and the lease still its own: it writes the record by
//     compare-and-swap, then the entry that apps read, and gives the lease back.
//  6. Every 10 to 15 s each sidecar looks at record and entry, adopts what is
//     newer, and puts back what memcached has lost (look.go).
//  7. An app that misses asks its sidecar, which answers from memory at once,
//     or with the token that the renewal under way brings (credential.go).
//
// # What add and compare-and-swap do not give
//
// The lease makes one caller and compare-and-swap one writer, but two stories
// end with a token that nobody holds, and each new token kills the one before:
//
//	A: lease taken, looked at, fine          A: GET /cgi-bin/token ──▶ WeChat issues t2
//	A: (stopped for 20 s)                    A: ◀── the answer is lost
//	B: lease taken, WeChat issues t2         everybody goes on with t1, which dies
//	B: record = t2                           in 300 s
//	A: (goes on) WeChat issues t3
//	everybody goes on with t2, which dies
//
// So whoever cannot know whose token WeChat issued last marks the record with a
// doubt: a time from which one more renewal is owed. The old token still works
// for 300 s, and the renewal comes within the minute (doubt.go). WeChat's
// stable_token gives everybody the same token and needs none of this.
//
// # Tickets
//
// A ticket is a credential like a token, with its own entry, record and lease. It
// is fetched with the current token instead of the AppSecret (ticket.go). Whatever
// becomes of it, its account's token does not suffer: its calls have a budget of
// their own.
//
// # What it promises
//
//  1. One call: while memcached holds and answers arrive, any number of
//     sidecars and readers cause one call to WeChat per renewal.
//  2. Never dead: no reader is given a token that WeChat would refuse, barring a
//     stranger's fetch or a lost answer; after either it heals within one look,
//     one report, or the doubt's minute.
//  3. Never backwards: the entry never goes from a newer token to an older one
//     for longer than one look.
//  4. Never nothing: with a live token in a sidecar's memory or in memcached, its
//     readers get no error because memcached or WeChat is down.
//  5. Never leaked: no AppSecret and no token appears in a log or an error.
//  6. Bounded: no sequence of failures, reports, strangers or restarts makes the
//     fleet call WeChat for one credential more than 10 times unplanned in ten
//     minutes while memcached holds.
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
	// Changed is told of every credential that this sidecar holds from now on, once
	// each, whoever fetched it. It is called with a lock held: it must not wait, and
	// not call the Group. Nil: nobody is told.
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
	// ExpiresIn is a promise: barring a stranger's fetch or a rejection, WeChat
	// accepts the credential for at least that long, renewal ahead of time
	// included. For a ticket it is the time until it is due, at least 1 s: WeChat
	// does not say whether the next one ends it.
	ExpiresIn time.Duration
	// Waited: a renewal brought it; else it was remembered.
	Waited bool
}
