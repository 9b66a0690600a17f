package wechat

import "github.com/wxsidecar/wxsidecar/sidecar/hint"

// Documented reports whether the errcode is one whose meaning for a token call is
// known; any other one is a surprise.
func Documented(code int) bool {
	_, ok := verdicts[code]
	return ok
}

// Hint says what a person can do about a token call that was refused with this
// errcode: the Hint of its Error, for those who know only the code.
func Hint(code int, errmsg string) hint.Hint {
	return refusal(Token, code, errmsg, redactor{}).Hint
}

// EgressIP is the address that WeChat saw and does not know, as its errmsg names
// it (40164, 61004): the EgressIP of its Error, for those who know only both.
func EgressIP(code int, errmsg string) string {
	return refusal(Token, code, errmsg, redactor{}).EgressIP
}

// RefusesToken reports whether WeChat says with this errcode, to a call that was
// made with an access_token, that it accepts the token no more.
func RefusesToken(code int) bool { return judge(JSAPI, code).class == Refused }
