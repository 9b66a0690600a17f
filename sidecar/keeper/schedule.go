package keeper

import "time"

// All that decides by time is here: pure functions of their inputs. The numbers
// follow from WeChat's: a token lives 7,200 s, and the one before a renewal
// works for 300 s more; and from the promise to apps: the entry lives 3,600 s.
const (
	// entryMax is the longest life of an entry.
	entryMax = 3600 * time.Second
	// dueMax is when a token is renewed at the latest, 300 s before its entry lapses.
	dueMax = 3300 * time.Second
	// grace is how long WeChat accepts a token after issuing the next one.
	grace = 300 * time.Second
	// promiseMargin is what is promised beyond the due time: the grace, less 25 s
	// for a renewal to come round.
	promiseMargin = 275 * time.Second
	// scatterEvery is the mean time between two renewals of credentials that were
	// fetched together: 200 a minute.
	scatterEvery = 300 * time.Millisecond
	// stableLead: stable_token issues the next token when fewer than 300 s of the
	// old one remain, and both work then. Asking at 295 s meets the new one.
	stableLead = 295 * time.Second
)

// margin is how long before a credential's death its entry lapses, so that
// readers who hold it for a while do not hold a dead one.
func margin(life time.Duration) time.Duration { return min(time.Minute, life/10) }

// clockSlack is how much of a life is not used, since the clocks of sidecars
// differ by seconds and expires_in is whole seconds.
func clockSlack(life time.Duration) time.Duration { return min(2*time.Second, life/20) }

// entryLife is how long an entry may live for a credential of this life of which
// so much is left. Under a second means: write none.
func entryLife(life, left time.Duration) time.Duration {
	return min(entryMax, left-margin(life)).Truncate(time.Second)
}

// dueAfter is the age at which a credential is renewed, spread says (0 to 1)
// where in the jitter this sidecar stands.
func dueAfter(life time.Duration, spread float64) time.Duration {
	due := min(dueMax, max(life-stableLead, life/2))
	return due + time.Duration(spread*float64(min(30*time.Second, life/20)))
}

// early returns by how much sooner than usual a credential is due that was fetched
// out of its time, in whole seconds. Credentials that are fetched together, at a start
// or after an outage of WeChat, would otherwise always be renewed together. For one
// or two credentials it is 0. The sidecar that fetched chooses, and all others read it
// in the record. spread is 0 to 1.
func early(life time.Duration, kept int, spread float64) time.Duration {
	most := min(dueAfter(life, 0)/2, time.Duration(kept)*scatterEvery)
	return time.Duration(spread * float64(most)).Truncate(time.Second)
}

// promise is how long WeChat will accept a token at least that is due at the age
// due. The jitter does not count: any sidecar may be the first. doubtFor is how
// long ago a call may have issued another token, negative where none may have.
func promise(life, due, age, doubtFor time.Duration) time.Duration {
	left := life - age
	p := min(left, max(0, due-age)+promiseMargin)
	if doubtFor >= 0 {
		p = min(p, grace-doubtFor)
	}
	return max(p, time.Second).Truncate(time.Second)
}

// promiseOfTicket is the same for a ticket: the time until it is due.
func promiseOfTicket(due, age time.Duration) time.Duration {
	return max(due-age, time.Second).Truncate(time.Second)
}

// lookEvery is the time between two looks, spread (0 to 1) over 10 to 15 s.
func lookEvery(spread float64) time.Duration {
	return 10*time.Second + time.Duration(spread*float64(5*time.Second))
}

// pollEvery is the time between two looks at somebody else's renewal while there
// is no token to give, spread (0 to 1) over 50 to 250 ms. After a second it grows
// with the time waited, to a quarter of it: while WeChat is slow, thousands of
// sidecars would ask memcached for nothing.
func pollEvery(spread float64, waited time.Duration) time.Duration {
	shortest := max(50*time.Millisecond, waited/20)
	return shortest + time.Duration(spread*float64(4*shortest))
}
