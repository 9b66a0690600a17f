package protocol

import "time"

// The numbers follow from WeChat's: a token is valid for 7,200 s, and the one before a
// renewal for 300 s more. They also follow from the promise to apps: the entry lives
// 3,600 s.
const (
	// entryMax is the longest life of an entry.
	entryMax = 3600 * time.Second
	// dueMax is the age at which a token is renewed at the latest: 300 s before its
	// entry expires.
	dueMax = 3300 * time.Second
	// Grace is how long WeChat accepts a token after it issued the next one.
	Grace = 300 * time.Second
	// promiseMargin is what is promised beyond the due time: the grace period less 25 s,
	// in which a renewal reaches every sidecar.
	promiseMargin = 275 * time.Second
	// stableLead is how long before its end a token is renewed at the latest.
	// stable_token issues the next one when less than 300 s of the old one remain, and
	// both are valid then. A request at 295 s gets the new one.
	stableLead = 295 * time.Second
	// scatterEvery is the mean time between two renewals of credentials that were
	// fetched together: 200 a minute.
	scatterEvery = 300 * time.Millisecond
	// Rebuild is how long a renewal waits if memcached has lost the record: every
	// sidecar polls once in that time and puts back what it holds.
	Rebuild = 17 * time.Second
)

// margin is how long an entry expires before its credential, so that readers who keep it
// for a while do not use an expired one.
func margin(life time.Duration) time.Duration { return min(time.Minute, life/10) }

// Slack is the part of a life that is not used: the clocks of sidecars differ by
// seconds, and expires_in is in whole seconds.
func Slack(life time.Duration) time.Duration { return min(2*time.Second, life/20) }

// EntryLife returns how long an entry can live for a credential of this life, of which
// left remains. If it is less than a second, no entry must be written.
func EntryLife(life, left time.Duration) time.Duration {
	return min(entryMax, left-margin(life)).Truncate(time.Second)
}

// DueAfter returns the age at which a credential is renewed. spread, 0 to 1, is this
// sidecar's share of the jitter of up to min(30 s, life/20).
func DueAfter(life time.Duration, spread float64) time.Duration {
	return min(dueMax, max(life-stableLead, life/2)) + jitter(life, spread)
}

func jitter(life time.Duration, spread float64) time.Duration {
	return time.Duration(spread * float64(min(30*time.Second, life/20)))
}

// Early returns by how much earlier than usual a credential is due that was not fetched
// on time, in whole seconds. Otherwise credentials that are fetched together, at a start
// or after an outage of WeChat, would always be renewed together. For one or two
// credentials it is 0. The sidecar that fetched it decides, and the others read it in the
// record. spread is 0 to 1.
func Early(life time.Duration, credentials int, spread float64) time.Duration {
	most := min(DueAfter(life, 0)/2, time.Duration(credentials)*scatterEvery)
	return time.Duration(spread * float64(most)).Truncate(time.Second)
}

// Little life is left below the time at which stable_token issues the next token.
const littleLife = Grace

// IsAgain reports whether WeChat has returned the same credential again, with little life
// left. Then it is kept to its end, and AgainAfter says when the next request follows.
func IsAgain(same bool, life time.Duration) bool { return same && life < littleLife }

// AgainAfter returns the age at which a credential is due that WeChat returned again with
// little life left. WeChat has no other ticket before the end of this one. That is up to two
// seconds later than it seems: expires_in and the time of the request are whole seconds. A
// token is due at half of what is left, and after 10 s at least.
func AgainAfter(life time.Duration, ticket bool, spread float64) time.Duration {
	if ticket {
		return life + 2*time.Second
	}
	return max(10*time.Second, life/2) + jitter(life, spread)
}

// promise returns how long WeChat accepts a token at least, if it is due at the age due.
// It leaves out the jitter, because any sidecar can be the first. doubt is the time until
// the renewal for a doubt, or negative if there is none.
func promise(life, due, age, doubt time.Duration) time.Duration {
	p := min(life-age, max(0, due-age)+promiseMargin)
	if doubt >= 0 {
		p = min(p, doubt)
	}
	return max(p, time.Second).Truncate(time.Second)
}

// promiseOfTicket returns the time until a ticket is due, at least 1 s.
func promiseOfTicket(due, age time.Duration) time.Duration {
	return max(due-age, time.Second).Truncate(time.Second)
}

// PollEvery returns the time to the next poll: 10 to 15 s by spread, 0 to 1.
func PollEvery(spread float64) time.Duration {
	return 10*time.Second + time.Duration(spread*float64(5*time.Second))
}

// AwaitEvery returns the time to the next read while another sidecar renews and there is
// no token to give: 50 to 250 ms by spread, 0 to 1. After a second it grows to a quarter of
// the time waited at most: otherwise, while WeChat is slow, thousands of sidecars would
// read in vain.
func AwaitEvery(spread float64, waited time.Duration) time.Duration {
	shortest := max(50*time.Millisecond, waited/20)
	return shortest + time.Duration(spread*float64(4*shortest))
}
