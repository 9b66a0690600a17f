package verify

import (
	"errors"
	"slices"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	// apart is the time between two requests of a process.
	apart = time.Second
	// startAfter and startWithin are when an AppSecret is verified that the process started
	// with. Until startAfter the first renewals use those that are needed at once.
	startAfter, startWithin = 10 * time.Second, 60 * time.Second
	// requestLife is the limit of one request.
	requestLife = 10 * time.Second
)

// again is when a request is repeated, counted from the first one. WeChat takes minutes to
// accept a new AppSecret, and 10 min after one was unfrozen.
var again = [...]time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute}

// Outcome says whether an AppSecret is right.
type Outcome string

const (
	// Verified means that WeChat accepts it.
	Verified Outcome = "verified"
	// Failing means that WeChat refuses it, or the AppID.
	Failing Outcome = "failing"
	// Unknown means that WeChat did not answer that: for example, it does not know this
	// machine's address, or a quota is used up.
	Unknown Outcome = "unknown"
)

// Outcomes are all outcomes.
var Outcomes = []Outcome{Verified, Failing, Unknown}

// OutcomeOf returns the outcome of a request.
func OutcomeOf(failure error) Outcome {
	switch {
	case failure == nil:
		return Verified
	case asRefusal(failure) != nil:
		return Failing
	}
	return Unknown
}

// asRefusal returns WeChat's refusal of an AppSecret or AppID, or nil.
func asRefusal(failure error) *wechat.Error {
	var e *wechat.Error
	if errors.As(failure, &e) && slices.Contains([]int{40001, 40125, 40013, 40243}, e.Code) {
		return e
	}
	return nil
}

// mayBeLate reports whether WeChat may refuse so because it does not accept a new AppSecret
// yet.
func mayBeLate(refused *wechat.Error) bool { return refused.Code == 40001 || refused.Code == 40125 }

// schedule says when one content is verified.
type schedule struct {
	due   time.Time // of the next request; zero: none
	first time.Time // of the first request; zero: none yet
	tries int
}

// started returns the schedule of an AppSecret that the process started with. r is a number
// from 0 to 1.
func started(now time.Time, r float64) schedule {
	return schedule{due: now.Add(startAfter + time.Duration(r*float64(startWithin-startAfter)))}
}

// waits reports whether another request follows.
func (s schedule) waits() bool { return !s.due.IsZero() }

// after returns the schedule after a request.
func (s schedule) after(o Outcome, now time.Time) schedule {
	if s.first.IsZero() {
		s.first = now
	}
	s.due = time.Time{}
	if o != Verified && s.tries < len(again) {
		s.due = s.first.Add(again[s.tries])
	}
	s.tries++
	return s
}
