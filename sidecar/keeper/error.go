package keeper

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Reason says why there is no credential to give.
type Reason int

const (
	// Unavailable means that there is no valid credential now. Try again after RetryAfter.
	Unavailable Reason = iota
	// NotConfigured means that this sidecar does not have the account, or not this kind of
	// credential.
	NotConfigured
	// Refused means that WeChat refused the request, and only a person can help.
	Refused
	// Budget means that a renewal would exceed a limit. Try again after RetryAfter.
	Budget
	// ReadOnly means that this sidecar may not report a credential.
	ReadOnly
)

// Error is why no credential can be given. It carries no secret.
type Error struct {
	// Reason is what callers decide by.
	Reason Reason
	// Code is WeChat's errcode; -1 if there is none, and an HTTP status if the sidecar
	// itself refused.
	Code int
	// Message is WeChat's errmsg without secrets, or the sidecar's own.
	Message string
	// Hint says what to do about it. It can be empty.
	Hint hint.Hint
	// RetryAfter is when to try again; 0 if that is unknown.
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

// budgetCode is the code of the sidecar's own refusals: the HTTP status.
const budgetCode = 429

// readerCode is the code of a report by a caller that may only read: the HTTP status.
const readerCode = 403

// errReadOnly is the answer to a report that this sidecar may not pass on.
var errReadOnly = &Error{
	Reason: ReadOnly, Code: readerCode, Message: "this sidecar is read-only: its upstream has no other credential, and takes no reports from it",
	Hint: hint.ReadOnly,
}

// budgetUsedUp is the message if the budget has no free use. It claims no requests: marks
// in memcached may say so without any.
const budgetUsedUp = "the budget of 10 unplanned requests to WeChat in 10 minutes is used up"

// asError returns the Error for the failure of a renewal.
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
		switch {
		case theirs.Class == wechat.Later && theirs.Code == budgetCode:
			e.Reason = Budget
		case byPerson(classes[theirs.Class]):
			e.Reason = Refused
		}
		return e
	}
	return &Error{Reason: Unavailable, Code: busyCode, Message: err.Error(), RetryAfter: time.Second}
}

// classes has the protocol's class for each of WeChat's.
var classes = map[wechat.Class]protocol.Class{
	wechat.Transient: protocol.Transient, wechat.Refused: protocol.Refused, wechat.Minute: protocol.Minute,
	wechat.Day: protocol.Day, wechat.Timed: protocol.Timed, wechat.Person: protocol.Person, wechat.Defect: protocol.Defect,
	wechat.Later: protocol.Later,
}

// classOf returns the class of a failure.
func classOf(e *wechat.Error) protocol.Class {
	switch {
	case e.Unsent:
		return protocol.Unreached
	case e.MayHaveIssued:
		return protocol.Unanswered
	}
	return classes[e.Class]
}

// byPerson reports whether only a person can end a cooldown with this reason early.
func byPerson(class protocol.Class) bool {
	return slices.Contains([]protocol.Class{protocol.Person, protocol.Defect, protocol.Timed, protocol.Day}, class)
}

// cooling returns why no sidecar renews during a cooldown. Its errcode and its class may
// be another sidecar's word. So its message is WeChat's only if this process received the
// same errcode from WeChat, and its hint names an address only then.
func (c *credential) cooling(w *memcache.Cooldown) *Error {
	e := &Error{Reason: Unavailable, Code: w.ErrCode, Message: "WeChat refused another sidecar's request; see the log of that sidecar", Hint: wechat.Hint(w.ErrCode, "")}
	switch class := protocol.Class(w.Class); {
	case class == protocol.OverBudget: // no errcode of WeChat's
		e.Reason, e.Hint = Budget, c.budgetHint()
		e.Message = budgetUsedUp
	case class == protocol.Rebuilding:
		e.Message, e.Hint = "memcached was emptied: waiting for what the other sidecars hold", hint.OtherSidecars
	case class == protocol.Unreached:
		e.Message, e.Hint = "another sidecar could not connect to WeChat", hint.Unreached("WeChat")
	case class == protocol.Unanswered:
		e.Message, e.Hint = "another sidecar got no readable answer from WeChat", hint.Unanswered
	case byPerson(class):
		e.Reason = Refused
		if c.isTicket() && wechat.RefusesToken(w.ErrCode) {
			e.Hint = hint.ExternalTicket
		}
	}
	if c.Upstream != nil {
		e.Message, e.Hint = "the upstream refused another sidecar's request; see the log of that sidecar", hint.Upstream
		switch {
		case protocol.Class(w.Class) == protocol.Unreached:
			e.Message, e.Hint = "another sidecar could not connect to the upstream", hint.UpstreamSilent
		case w.ErrCode == budgetCode:
			e.Reason = Budget
		}
	}
	c.mu.Lock()
	if own := c.backoff.received; own != nil && own.Code == w.ErrCode && string(classOf(own)) == w.Class {
		e.Message, e.Hint = own.Message, own.Hint
	}
	c.mu.Unlock()
	e.RetryAfter = min(max(time.Second, time.Unix(w.Until, 0).Sub(c.Wall())), cooldownMost(w))
	return e
}

// cooldownMost returns how long this cooldown can last at most.
func cooldownMost(w *memcache.Cooldown) time.Duration {
	return protocol.CooldownMost(protocol.Class(w.Class), wechat.Wait(w.ErrCode))
}

// budgetHint says what to do if the budget is used up.
func (s *settings) budgetHint() hint.Hint {
	if s.isTicket() {
		return hint.ExternalTicket
	}
	return hint.ExternalToken
}

var errStopping = &Error{Reason: Unavailable, Code: busyCode, Message: "the sidecar is stopping", RetryAfter: time.Second}
