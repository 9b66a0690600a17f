package wechat

// Hint says what a person can do about a token call that was refused with this
// errcode: the Hint of its Error, for those who know only the code.
func Hint(code int, errmsg string) string {
	return refusal(code, errmsg, redactor{}).Hint
}
