package wechat

import (
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// Documented reports whether the errcode has a known meaning for a token request.
func Documented(code int) bool {
	_, ok := verdicts[code]
	return ok
}

// Hint returns the Hint of a token request's Error, for callers that know only
// errcode and errmsg.
func Hint(code int, errmsg string) hint.Hint {
	return refusal(Token, code, errmsg, redactor{}).Hint
}

// Wait returns the Wait of a token request's Error, for callers that know only errcode.
func Wait(code int) time.Duration { return judge(Token, code).wait }

// EgressIP returns the EgressIP of a token request's Error, for callers that know only
// errcode and errmsg.
func EgressIP(code int, errmsg string) string {
	return refusal(Token, code, errmsg, redactor{}).EgressIP
}

// Redact returns a received text that is safe to show: printable, bounded, without these
// secrets.
func Redact(text string, secrets ...string) string { return hideOf(secrets...).message(text) }

// RefusesToken reports whether this errcode for a request with an access_token means
// that the token is invalid.
func RefusesToken(code int) bool { return judge(JSAPI, code).class == Refused }
