package keeper

import (
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// State is the state of a credential, for probes, metrics and people.
type State struct {
	AppID string
	Kind  memcache.Kind
	// Valid is true if there is a valid credential to give, published or not. If it is
	// false, the fields from Fingerprint to InDoubt are zero.
	Valid bool
	// Published is true if the entry had it at the last poll.
	Published bool
	// Fingerprint is the credential's.
	Fingerprint string
	// API is how it was fetched, and By the sidecar that fetched it.
	API wechat.API
	By  string
	// Age is how old it is, and Left how long it remains valid, by the more pessimistic
	// of both clocks.
	Age, Left time.Duration
	// RenewalIn is the time until this sidecar renews it; negative if it is overdue.
	RenewalIn time.Duration
	// Promise is Grant.ExpiresIn.
	Promise time.Duration
	// InDoubt is true if a request may have issued another one that no sidecar holds.
	InDoubt bool
	// Err is why the last renewal failed, at the time Failed. Retry is when the next one
	// can be tried. FailingSince is the time of the first failure in a row. They are nil
	// and zero after a success.
	Err                         *Error
	FailingSince, Failed, Retry time.Time
	// Unstored is why memcached, although it answers polls, failed to store something less
	// than a minute ago; nil if it did not.
	Unstored error
	// Today is what all sidecars did today, as of the last renewal, and what this one did
	// since then.
	Today memcache.Day
	// Counts is what this sidecar did.
	Counts Counts
}

// NextAttempt returns when the renewal that failed with Err is tried again. During the
// cooldown of another sidecar's failure, this one polls every second: RetryAfter is when
// the cooldown ends.
func (s *State) NextAttempt() time.Time {
	cooled := s.Failed.Add(s.Err.RetryAfter)
	if s.Retry.After(cooled) {
		return s.Retry
	}
	return cooled
}

// Counts count since the sidecar started. They only grow.
type Counts struct {
	// Renewed counts requests to WeChat that brought a credential.
	Renewed uint64
	// Failed counts failed renewals by errcode. -1 is WeChat's for "busy", and ours for
	// no readable answer or AppSecret; 429 is the budget; OtherCode is any code that
	// WeChat does not document.
	Failed map[string]uint64
	// Unchanged counts answers of the upstream with the credential that is held.
	Unchanged uint64
	// Adopted counts renewals of other sidecars that this one adopted.
	Adopted uint64
	// Reports counts reports of the newest credential.
	Reports uint64
	// Checks counts the checks of tokens that a second report caused. They are no
	// renewals.
	Checks Checks
	// ExternalTokens counts external credentials found in the entry.
	ExternalTokens uint64
	// Contended counts renewals that found the lease held by another sidecar.
	Contended uint64
}

// Checks counts checks of reported tokens, by WeChat's answer.
type Checks struct {
	// Accepted and Refused count clear answers.
	Accepted, Refused uint64
	// Unknown counts all others. The token is renewed then.
	Unknown uint64
}

// add counts the result of a check.
func (n *Checks) add(err error) {
	var refused *wechat.Error
	switch {
	case err == nil:
		n.Accepted++
	case errors.As(err, &refused) && refused.Class == wechat.Refused:
		n.Refused++
	default:
		n.Unknown++
	}
}

// OtherCode stands for every errcode that WeChat does not document. So the number of
// different codes is bounded.
const OtherCode = "other"

// failed counts a renewal that failed.
func (n *Counts) failed(code int) {
	name := OtherCode
	if code == budgetCode || wechat.Documented(code) {
		name = strconv.Itoa(code)
	}
	if n.Failed == nil {
		n.Failed = map[string]uint64{}
	}
	n.Failed[name]++
}

// count changes the counts.
func (c *credential) count(change func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.counts)
}

// state returns the state of the credential.
func (c *credential) state() State {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := State{
		AppID: c.account.AppID, Kind: c.kind, Published: c.polls.published, Today: c.held.DayOf(dateOf(now.Wall)), Counts: c.counts,
	}
	s.Counts.Failed = maps.Clone(c.counts.Failed)
	if c.needed(now) {
		s.Err, s.FailingSince, s.Failed, s.Retry = c.backoff.err, c.backoff.begun, c.backoff.since, c.backoff.until
	}
	// Before memcached answered again, it refused nothing: it was not there.
	if u := c.link.unstored; u != nil && c.polls.downSince.IsZero() && u.at.After(c.link.back) && now.Mono.Sub(u.at) < linkForgets {
		s.Unstored = u.err
	}
	if c.held.Valid(now) {
		record := c.held.Record
		s.Valid, s.InDoubt = true, record.Doubt > 0
		s.Fingerprint, s.API, s.By = memcache.Fingerprint(record.Token), wechat.API(record.API), record.By
		s.Promise, _ = c.held.Promise(now)
		s.Age, s.Left, s.RenewalIn = c.held.Age(now), c.held.Left(now), c.dueIn(now)
		if c.Upstream != nil {
			s.RenewalIn = c.held.UpstreamDueIn(now)
		}
	}
	return s
}

// needed reports whether a renewal is needed, or would fail for now. If not, the last
// failure is of no interest: for example, that a report came too soon after another. The
// caller holds mu.
func (c *credential) needed(now protocol.Now) bool {
	failing := c.Upstream != nil && now.Mono.Sub(c.backoff.until) < stillFailing // it is asked all the time
	return !c.held.Valid(now) || failing || c.held.DueIn(now, c.spread) <= 0 || c.reports.owns(&c.held) || now.Mono.Before(c.backoff.until)
}

// dateOf returns the day in Beijing, as in memcache.Day.
func dateOf(now time.Time) int {
	y, m, d := now.In(protocol.Beijing).Date()
	return 10_000*y + 100*int(m) + d
}

const (
	// clocksApart is the difference of two sidecars' clocks from which on it is logged.
	clocksApart = 5 * time.Second
	// dateApart is the same for WeChat's clock: its Date header has whole seconds, and its
	// answer can take seconds.
	dateApart = time.Minute
	// clockWarnEvery is the shortest time between two such warnings of a credential.
	clockWarnEvery = time.Hour
)

// warned is what was logged once. The credential's mu guards it.
type warned struct {
	newer bool      // a record of a newer version
	clock time.Time // when a clock that is off was last logged
}

// clockHint says what to do about a clock that is off.
const clockHint = "check the time service (NTP) of the nodes: no token is lost, but times in logs and on the status page are wrong"

// warnOfClock warns if this sidecar's wall clock differs from that of the sidecar which
// wrote a record.
func (c *credential) warnOfClock(ahead time.Duration, by string) {
	if ahead.Abs() > clocksApart && c.mayWarnOfClock() {
		c.log().Warn("clocks of two sidecars differ", "ahead_seconds", int(ahead.Seconds()), "other", by, "hint", clockHint)
	}
}

// warnOfDate warns if this sidecar's wall clock differs from WeChat's Date header.
func (c *credential) warnOfDate(date time.Time) {
	if date.IsZero() {
		return
	}
	if ahead := c.Wall().Sub(date); ahead.Abs() > dateApart && c.mayWarnOfClock() {
		c.log().Warn("clock of this node differs from WeChat's", "ahead_seconds", int(ahead.Seconds()), "hint", clockHint)
	}
}

// mayWarnOfClock reports whether the last warning was at least an hour ago, and takes the
// next one.
func (c *credential) mayWarnOfClock() bool {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.polls.warned.clock.IsZero() && now.Sub(c.polls.warned.clock) < clockWarnEvery {
		return false
	}
	c.polls.warned.clock = now
	return true
}
