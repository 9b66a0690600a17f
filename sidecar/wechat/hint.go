package wechat

// Documented reports whether the errcode is one whose meaning for a token call is
// known; any other one is a surprise.
func Documented(code int) bool {
	_, ok := verdicts[code]
	return ok
}

// Hint says what a person can do about a token call that was refused with this
// errcode: the Hint of its Error, for those who know only the code.
func Hint(code int, errmsg string) string {
	return refusal(code, errmsg, redactor{}).Hint
}

// EgressIP is the address that WeChat saw and does not know, as its errmsg names
// it (40164, 61004): the EgressIP of its Error, for those who know only both.
func EgressIP(code int, errmsg string) string {
	return refusal(code, errmsg, redactor{}).EgressIP
}
