package wechat

import (
	"fmt"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// Class says how to continue after a failure. The caller decides how long each class
// waits, except for [Timed].
type Class int

const (
	// Transient failures end without intervention: retry soon, then less often.
	Transient Class = iota
	// Minute is a limit per minute: wait for the next one.
	Minute
	// Day is a limit per day. WeChat's days begin at midnight in Beijing.
	Day
	// Person failures last until a person changes something, at WeChat or in the
	// configuration.
	Person
	// Timed failures have their own wait, see [Error.Wait].
	Timed
	// Refused means that WeChat refused the access_token of a ticket request: get
	// another token and repeat the request once.
	Refused
	// Defect means that the request was wrong: a fault of this program.
	Defect
	// Later failures are those of an upstream, another sidecar, which says when to try again
	// in [Error.Wait].
	Later
)

var classNames = [...]string{"transient", "minute", "day", "person", "timed", "refused", "defect", "later"}

// String returns the class's name in lower case.
func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return fmt.Sprintf("class(%d)", int(c))
	}
	return classNames[c]
}

// verdict is the meaning of an errcode.
type verdict struct {
	class Class
	wait  time.Duration // only for Timed
	hint  hint.Hint
}

// verdicts has the meaning of each errcode for a request for a token. For a ticket, some
// have another, see judge.
var verdicts = map[int]verdict{
	-1: {Transient, 0, hint.Busy},

	40001: {Person, 0, hint.Account},
	40013: {Person, 0, hint.Account},
	40125: {Person, 0, hint.Account},

	40002: {Defect, 0, hint.Defect},
	41002: {Defect, 0, hint.Defect},
	41004: {Defect, 0, hint.Defect},
	43001: {Defect, 0, hint.Defect},
	43002: {Defect, 0, hint.Defect},
	47001: {Defect, 0, hint.Defect},

	40164: {Person, 0, hint.Whitelist("")},
	61004: {Person, 0, hint.PlatformWhitelist("")},
	40243: {Person, 0, hint.Frozen},
	48001: {Person, 0, hint.NoPermission},
	48006: {Person, 0, hint.NoResets},
	50004: {Person, 0, hint.Barred},
	50007: {Person, 0, hint.Cancelled},
	89501: {Person, 0, hint.Confirm},
	89503: {Person, 0, hint.Confirm},

	89506: {Timed, 24 * time.Hour, hint.DeclinedTwice},
	89507: {Timed, time.Hour, hint.Declined},

	45009: {Day, 0, hint.DayQuota},
	45011: {Minute, 0, hint.MinuteQuota},

	// About a token, although the request has none.
	40014: {Person, 0, hint.WrongEndpoint},
	41001: {Person, 0, hint.WrongEndpoint},
	42001: {Person, 0, hint.WrongEndpoint},
}

// judge returns the meaning of an errcode other than 0. Unknown negative codes are
// errors within WeChat. All other unknown codes need a person: to repeat a request that
// was refused for an unknown reason does not help.
func judge(api API, code int) verdict {
	switch code {
	case 40001, 40014, 41001, 42001:
		if api.withToken() {
			return verdict{Refused, 0, hint.InvalidToken}
		}
	}
	if v, ok := verdicts[code]; ok {
		return v
	}
	if code < 0 {
		return verdict{Transient, 0, hint.Internal}
	}
	return verdict{Person, 0, hint.UnknownCode(code)}
}
