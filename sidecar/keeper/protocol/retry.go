package protocol

import "time"

// Class is why a request failed or all sidecars wait, and decides for how long. The text
// is in the cooldowns in memcached: it must not change.
type Class string

// The reasons. The zero value counts as Transient.
const (
	Transient  Class = "transient"  // ends without intervention
	Refused    Class = "refused"    // WeChat refused the token of a ticket request
	Unreached  Class = "unreached"  // no host of WeChat's could be reached
	Unanswered Class = "unanswered" // there was no readable answer
	Minute     Class = "minute"     // a limit per minute
	Day        Class = "day"        // a limit per day
	Person     Class = "person"     // lasts until a person changes something
	Defect     Class = "defect"     // lasts until this program is changed
	Timed      Class = "timed"      // WeChat says for how long
	Later      Class = "later"      // the upstream says for how long
	OverBudget Class = "budget"     // no use of the budget is free
	Rebuilding Class = "rebuild"    // every sidecar puts back what it holds
)

// Failure is a request that brought no credential.
type Failure struct {
	Class Class
	// Wait is how long WeChat says to wait, for Timed, or the upstream, for Later.
	Wait time.Duration
	// Local is true if it is a failure of this sidecar alone: its address is not on the
	// whitelist, or it cannot connect to WeChat.
	Local bool
	// Unsent is true if nothing was sent.
	Unsent bool
	// Lost is true if WeChat may have issued a token whose answer was lost.
	Lost bool
}

// PersonWait is how long all sidecars wait if only a person can help. Another AppSecret
// ends it at once. A minute and a second: ten such waits must be longer than the
// budget's window, or each eleventh request would be refused by the budget, and people
// would see that instead of the cause.
const PersonWait = 61 * time.Second

// Beijing is the zone of WeChat's day. It is fixed: the image has no zone files.
var Beijing = time.FixedZone("UTC+8", 8*60*60)

// Cooldown returns how long all sidecars wait after a failed request. tries counts the
// failed requests since the last success, this one included. lease is how long a lease is
// used. spread, 0 to 1, moves a transient wait by up to 10 % either way.
func Cooldown(f Failure, tries int, lease time.Duration, now Now, spread float64) time.Duration {
	switch f.Class {
	case Minute:
		return now.Wall.Truncate(time.Minute).Add(time.Minute).Sub(now.Wall)
	case Day:
		y, m, d := now.Wall.In(Beijing).Date()
		midnight := time.Date(y, m, d+1, 0, 0, 0, 0, Beijing)
		return min(time.Hour, midnight.Sub(now.Wall))
	case Timed, Later:
		return f.Wait
	case Person, Defect:
		return PersonWait
	case Transient, Refused, Unreached, Unanswered, OverBudget, Rebuilding:
	}
	seconds := min(60, 1<<min(max(tries-1, 0), 6))
	wait := time.Duration((0.9 + 0.2*spread) * float64(seconds) * float64(time.Second))
	if f.Lost { // the request can still be on its way
		wait = max(wait, lease+time.Second)
	}
	return wait
}

// ForceNext is what follows a force_refresh that failed.
type ForceNext struct {
	// AskAgain is true if the token is requested once more, without force_refresh: WeChat
	// may have issued another one, and then returns that.
	AskAgain bool
	// GiveBack is true if the failure does not count as the one force_refresh in 75 minutes.
	GiveBack bool
}

// AfterForce returns what follows a force_refresh that failed. A limit per minute ends
// soon, and a request that was not sent used nothing up.
func AfterForce(f Failure) ForceNext {
	return ForceNext{AskAgain: f.Class == Unanswered, GiveBack: f.Class == Minute || f.Unsent}
}

// Limits of handing a renewal over to the other sidecars within BudgetWindow.
const (
	HandoversValid = 2 // while a token is valid
	HandoversNone  = 5 // while none is
)

const (
	// waitValid is the wait of all sidecars after the last handover while a token is
	// valid, and waitNone while none is: so the requests stay within the budget.
	waitValid = 75 * time.Second
	waitNone  = 120 * time.Second
	// holdBack is how much longer than the others the failing sidecar waits; it
	// doubles until a success: up to holdBackMost while a token is valid, and up to the
	// usual wait while none is.
	holdBack     = 20 * time.Second
	holdBackMost = 5 * time.Minute
	// holdBackEnd is how long before the end of the entry this sidecar takes part again.
	holdBackEnd = time.Minute
	// dialMost is the longest wait after a failure to connect while no token is valid.
	dialMost = 4 * time.Second
)

// Handovers returns how many renewals can be handed over within BudgetWindow after such a
// failure; 0 means that they are not counted. valid is true if a token is valid: neither
// expired nor reported.
func Handovers(f Failure, valid bool) int {
	switch {
	case valid:
		return HandoversValid
	case f.Unsent:
		return 0
	}
	return HandoversNone
}

// Retry is what follows a failure.
type Retry struct {
	// All is how long all sidecars wait; 0 means that the lease is free at once.
	All time.Duration
	// Own is how long this sidecar waits.
	Own time.Duration
}

// Yield returns what follows a failure of this sidecar alone: the others take over at
// once, and this sidecar tries again after them. handedOver is false if there were too
// many handovers. streak is how many such failures this sidecar had since its last
// success, usual the wait after any other failure, entry how long the entry still lives.
func Yield(f Failure, valid, handedOver bool, streak int, usual, entry time.Duration) Retry {
	if !valid {
		switch {
		case f.Unsent:
			return Retry{Own: min(usual, dialMost)}
		case handedOver:
			return Retry{Own: min(holdBack<<min(streak, 8), usual)} // the others poll within 15 s
		}
		return Retry{All: waitNone, Own: waitNone + holdBack} // or it would always be the first again
	}
	r := Retry{Own: min(holdBack<<min(streak, 8), holdBackMost)}
	if !handedOver {
		r.All = waitValid
		r.Own += waitValid
	}
	if most := entry - holdBackEnd; r.Own > most {
		r.Own = max(min(usual, r.Own), most)
	}
	return r
}

// CooldownMost returns how long a cooldown with this reason can last at most. wait is how
// long WeChat says to wait after the cooldown's errcode, or 0. A cooldown that lasts longer
// was written by hand, and can be taken over. The time counts from first sight, on the
// monotonic clock.
func CooldownMost(class Class, wait time.Duration) time.Duration {
	most := 130 * time.Second
	switch class {
	case Day, Timed:
		most = time.Hour
	case Minute:
		most = 2 * time.Minute
	case Transient, Refused, Unreached, Unanswered, Person, Defect, Later, OverBudget, Rebuilding:
	}
	return max(most, wait)
}
