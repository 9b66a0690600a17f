package wechat

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// Error is the reason why a request returned no credential. It contains no AppSecret,
// no token and no user's code.
type Error struct {
	// Code is WeChat's errcode; -1 if WeChat sent none.
	Code int
	// Message is WeChat's errmsg, or what failed. It has at most 512 printable bytes,
	// with WeChat's rid, which its support needs.
	Message string
	// Class says how to continue.
	Class Class
	// Wait is the wait that WeChat or an upstream requires; zero for classes other than Timed
	// and Later.
	Wait time.Duration
	// MayHaveIssued is set if WeChat may have processed the request, and issued a
	// credential that no sidecar has.
	MayHaveIssued bool
	// Unsent is set if nothing was sent: no host could be reached.
	Unsent bool
	// Hint says what a person can do. It is never empty.
	Hint hint.Hint
	// EgressIP is the address that is not on WeChat's whitelist (40164, 61004). It is
	// empty for other errcodes, and if WeChat named none.
	EgressIP string

	cause error // context.Canceled, context.DeadlineExceeded or nil; these quote nothing
}

// Error returns code, message and hint.
func (e *Error) Error() string {
	switch {
	case e.cause != nil: // the caller ended it: there is nothing to do
		return e.Message
	case e.Code == -1:
		return fmt.Sprintf("%s (%s)", e.Message, e.Hint)
	}
	return fmt.Sprintf("errcode %d: %s (%s)", e.Code, e.Message, e.Hint)
}

// Unwrap returns context.Canceled or context.DeadlineExceeded if the context ended the
// request, else nil. Other causes can quote the URL, which contains the AppSecret.
func (e *Error) Unwrap() error { return e.cause }

// refusal returns the Error for an answer with an errcode: WeChat issued nothing.
func refusal(api API, code int, errmsg string, hide redactor) *Error {
	v := judge(api, code)
	e := &Error{Code: code, Message: hide.errmsg(errmsg), Class: v.class, Wait: v.wait, Hint: v.hint}
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

// unsent returns the Error for an attempt of which nothing reached these hosts.
func unsent(hosts, message string) *Error {
	return &Error{Code: -1, Message: bounded(message, maxMessage), Class: Transient, Hint: hint.Unreached(hosts), Unsent: true}
}

// lost returns the Error for an attempt that WeChat may have processed, without a
// readable answer.
func lost(message string) *Error {
	return &Error{Code: -1, Message: bounded(message, maxMessage), Class: Transient, Hint: hint.Unanswered, MayHaveIssued: true}
}

// defect returns the Error for a request that makes no sense.
func defect(message string) *Error {
	return &Error{Code: -1, Message: message, Class: Defect, Hint: hint.Fault}
}

// firstIP returns the first address in a text such as "invalid ip 1.2.3.4 ipv6
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

// Local reports whether the failure is due to this sidecar's network alone: its
// address is not on the whitelist, or it cannot reach WeChat. Another sidecar can
// succeed.
func (e *Error) Local() bool { return e.Unsent || e.Code == 40164 || e.Code == 61004 }
