package wechat

import (
	"fmt"
	"time"
)

// Class says how to go on after a failure. How long each class waits is the
// caller's business, except for [Timed].
type Class int

const (
	// Transient failures pass by themselves: try again soon, then less often.
	Transient Class = iota
	// Minute is a limit per minute: wait for the next one.
	Minute
	// Day is a limit per day; WeChat's days begin at midnight in Beijing.
	Day
	// Person failures stay until somebody changes something, at WeChat or in the
	// configuration.
	Person
	// Timed failures name their wait: [Error.Wait].
	Timed
	// Refused means that WeChat refused the access_token that a ticket was asked
	// for with: get another token and repeat the call once.
	Refused
	// Defect means that the request was wrong: a fault of this program.
	Defect
)

var classNames = [...]string{"transient", "minute", "day", "person", "timed", "refused", "defect"}

// String is the class's name in lower case.
func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return fmt.Sprintf("class(%d)", int(c))
	}
	return classNames[c]
}

// verdict is what an errcode means.
type verdict struct {
	class Class
	wait  time.Duration // only for Timed
	hint  string
}

const (
	hintAccount = "check AppID and AppSecret of the account: mp.weixin.qq.com → Settings and Development → Basic Configuration"
	hintDefect  = "WeChat did not understand the request: report it as a fault of wxsidecar, with the rid"
	hintToken   = "renew the access_token and repeat the call once"
	hintAdmin   = "an administrator of the account must confirm this server's address: WeChat sent a message to his phone"
)

// verdicts is the meaning of each errcode when a credential is fetched; of 40001,
// when a token is.
var verdicts = map[int]verdict{
	-1: {Transient, 0, "WeChat is busy: nothing to do, it is tried again"},

	40001: {Person, 0, hintAccount},
	40013: {Person, 0, hintAccount},
	40125: {Person, 0, hintAccount},

	40002: {Defect, 0, hintDefect},
	41002: {Defect, 0, hintDefect},
	41004: {Defect, 0, hintDefect},
	43001: {Defect, 0, hintDefect},
	43002: {Defect, 0, hintDefect},
	47001: {Defect, 0, hintDefect},

	40164: {Person, 0, "add the address WeChat saw to the account's IP whitelist: mp.weixin.qq.com → Settings and Development → Basic Configuration"},
	61004: {Person, 0, "add the address WeChat saw to the platform's IP whitelist: open.weixin.qq.com"},
	40243: {Person, 0, "the AppSecret is frozen: unfreeze it at mp.weixin.qq.com → Settings and Development → Basic Configuration"},
	48001: {Person, 0, "the account may not use this API: see its permissions at mp.weixin.qq.com"},
	50004: {Person, 0, "the account is barred from this API: see its notices at mp.weixin.qq.com"},
	50007: {Person, 0, "the account is cancelled: see its notices at mp.weixin.qq.com"},
	89501: {Person, 0, hintAdmin},
	89503: {Person, 0, hintAdmin},

	89506: {Timed, 24 * time.Hour, "the administrator refused this server's address twice: WeChat asks again after 24 h"},
	89507: {Timed, time.Hour, "the administrator refused this server's address: WeChat asks again after 1 h"},

	45009: {Day, 0, "the day's quota is used up: find who else fetches for this AppID, or reset it once with POST /cgi-bin/clear_quota"},
	45011: {Minute, 0, "too many calls in this minute: find who else fetches for this AppID"},

	40014: {Refused, 0, hintToken},
	41001: {Refused, 0, hintToken},
	42001: {Refused, 0, hintToken},
}

// judge says what an errcode other than 0 means. Of the codes it does not know,
// the negative ones are WeChat's own troubles, and the others want a person:
// repeating a call that is refused for an unknown reason helps nobody.
func judge(api API, code int) verdict {
	if code == 40001 && api.forTicket() {
		return verdict{Refused, 0, hintToken}
	}
	if v, ok := verdicts[code]; ok {
		return v
	}
	if code < 0 {
		return verdict{Transient, 0, "an error within WeChat: nothing to do, it is tried again"}
	}
	return verdict{Person, 0, fmt.Sprintf("look up errcode %d in WeChat's documentation", code)}
}
