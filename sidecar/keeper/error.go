package keeper

import (
	"errors"
	"fmt"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Reason says whose fault it is that there is no credential to give.
type Reason int

const (
	// Unavailable is nothing valid to give for now; ask again after RetryAfter.
	Unavailable Reason = iota
	// NotKept is no such account here, or not this kind of credential.
	NotKept
	// Refused is that WeChat refused the fetch, and a person must do something.
	Refused
	// Budget is that a renewal would be one too many; ask again after RetryAfter.
	Budget
)

// Error is why no credential can be given. It carries no secret.
type Error struct {
	// Reason is the class that callers decide by.
	Reason Reason
	// Code is WeChat's errcode; -1 where WeChat gave none.
	Code int
	// Message is WeChat's errmsg, redacted, or ours.
	Message string
	// Hint says what to do about it; it may be empty.
	Hint hint.Hint
	// RetryAfter is when to ask again; 0 means that nobody can say.
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Message
	if e.Code > 0 {
		text = fmt.Sprintf("errcode %d: %s", e.Code, text)
	}
	if e.Hint != (hint.Hint{}) {
		text += " (" + e.Hint.String() + ")"
	}
	return text
}

// busyCode is WeChat's own code for "try again".
const busyCode = -1

// budgetCode is the code of our own refusals: the HTTP status.
const budgetCode = 429

// asError turns what a renewal failed with into an Error.
func asError(err error) *Error {
	var ours *Error
	var theirs *wechat.Error
	var failed *failure
	var retryAfter time.Duration
	if errors.As(err, &failed) {
		retryAfter = max(time.Second, time.Until(failed.until))
	}
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &theirs):
		e := &Error{Reason: Unavailable, Code: theirs.Code, Message: theirs.Message, Hint: theirs.Hint, RetryAfter: retryAfter}
		if byPerson(theirs.Class.String()) {
			e.Reason = Refused
		}
		return e
	}
	return &Error{Reason: Unavailable, Code: busyCode, Message: err.Error(), RetryAfter: time.Second}
}

// byPerson reports whether waits of this class end when a person has acted.
func byPerson(class string) bool {
	switch class {
	case wechat.Person.String(), wechat.Defect.String(), wechat.Timed.String(), wechat.Day.String():
		return true
	}
	return false
}

// cooling returns why no renewal runs while all sidecars wait.
func (c *credential) cooling(w *memcache.Cooldown) *Error {
	e := &Error{Reason: Unavailable, Code: w.ErrCode, Message: w.ErrMsg, Hint: wechat.Hint(w.ErrCode, w.ErrMsg)}
	switch {
	case w.Class == budgetClass:
		e.Reason, e.Hint = Budget, c.budgetHint() // no errcode of WeChat's
	case w.Class == unreachedClass:
		e.Hint = hint.Unreached("WeChat") // the message names the host
	case w.Class == unansweredClass:
		e.Hint = hint.Unanswered
	case byPerson(w.Class):
		e.Reason = Refused
		if c.isTicket() && wechat.RefusesToken(w.ErrCode) {
			e.Hint = hint.ExternalTicket
		}
	}
	e.RetryAfter = min(max(time.Second, time.Unix(w.Until, 0).Sub(c.Wall())), protocol.CooldownMost(w.Class, w.ErrCode))
	return e
}

// budgetHint is what to do if ten requests did not help, or were too many.
func (s *settings) budgetHint() hint.Hint {
	if s.isTicket() {
		return hint.ExternalTicket
	}
	return hint.ExternalToken
}

var errStopping = &Error{Reason: Unavailable, Code: busyCode, Message: "the sidecar is stopping", RetryAfter: time.Second}
