package wechat

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// Error is why a call brought no credential. Nothing in it shows an AppSecret or
// a token.
type Error struct {
	// Code is WeChat's errcode; -1 where WeChat gave none.
	Code int
	// Message is WeChat's errmsg or what went wrong: at most 512 bytes, printable,
	// with WeChat's rid (which its support asks for).
	Message string
	// Class says how to go on.
	Class Class
	// Wait is how long WeChat told to wait; zero for classes other than Timed.
	Wait time.Duration
	// MayHaveIssued is set where WeChat may have processed the request, so that a
	// credential which nobody holds may have been issued.
	MayHaveIssued bool
	// Unsent is set if nothing was sent: no host could be reached.
	Unsent bool
	// Hint says what a person can do about it. Never empty.
	Hint hint.Hint
	// EgressIP is the address that WeChat saw and does not know (40164, 61004);
	// empty elsewhere, and where WeChat named none.
	EgressIP string

	cause error // context.Canceled, context.DeadlineExceeded or nil: they have nothing to tell
}

// Error tells code, message and what to do.
func (e *Error) Error() string {
	switch {
	case e.cause != nil: // the caller ended the call: nothing to do about it
		return e.Message
	case e.Code == -1:
		return fmt.Sprintf("%s (%s)", e.Message, e.Hint)
	}
	return fmt.Sprintf("errcode %d: %s (%s)", e.Code, e.Message, e.Hint)
}

// Unwrap is context.Canceled or context.DeadlineExceeded where the context of
// the call ended it, else nil: other causes may quote the URL, AppSecret
// included, and stay behind.
func (e *Error) Unwrap() error { return e.cause }

// refusal is WeChat's answer with an errcode. It issued nothing.
func refusal(api API, code int, errmsg string, hide redactor) *Error {
	v := judge(api, code)
	e := &Error{Code: code, Message: hide.message(errmsg), Class: v.class, Wait: v.wait, Hint: v.hint}
	if e.Message == "" {
		e.Message = "no errmsg"
	}
	switch code {
	case 40164:
		e.EgressIP = firstIP(e.Message)
		e.Hint = hint.Whitelist(e.EgressIP)
	case 61004:
		e.EgressIP = firstIP(e.Message)
		e.Hint = hint.PlatformWhitelist(e.EgressIP)
	}
	return e
}

// unsent is an attempt of which nothing reached these hosts.
func unsent(hosts, message string) *Error {
	return &Error{Code: -1, Message: bounded(message, maxMessage), Class: Transient, Hint: hint.Unreached(hosts), Unsent: true}
}

// lost is an attempt that WeChat may have processed, without a readable answer.
func lost(message string) *Error {
	return &Error{Code: -1, Message: bounded(message, maxMessage), Class: Transient, Hint: hint.Unanswered, MayHaveIssued: true}
}

// defect is a request that makes no sense.
func defect(message string) *Error {
	return &Error{Code: -1, Message: message, Class: Defect, Hint: hint.Fault}
}

// firstIP is the first address in a text such as "invalid ip 1.2.3.4 ipv6
// ::ffff:1.2.3.4, not in whitelist".
func firstIP(text string) string {
	for word := range strings.FieldsSeq(text) {
		addr, err := netip.ParseAddr(strings.Trim(word, ",;.()[]\"'"))
		if err == nil && addr.Zone() == "" {
			return addr.Unmap().String()
		}
	}
	return ""
}

// Local reports whether the failure is of this program's place in the network alone:
// WeChat does not know its address, or it cannot reach WeChat. Another sidecar may
// succeed.
func (e *Error) Local() bool { return e.Unsent || e.Code == 40164 || e.Code == 61004 }
