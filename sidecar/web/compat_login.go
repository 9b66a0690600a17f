package web

import (
	"net/http"
	"strings"

	"github.com/wxsidecar/wxsidecar/sidecar/login"
)

// WeChat's own routes for logins.
const (
	snsPrefix   = "/sns/"
	compatLogin = snsPrefix + "jscode2session"
	compatOAuth = snsPrefix + "oauth2/access_token"
)

// WeChat's answers to a wrong code, in its own words.
var (
	wrongCode = weChatSays(40029, "invalid code")
	noCode    = weChatSays(41008, "missing code")
)

// weChatsOwn reports whether a path is among WeChat's own.
func weChatsOwn(path string) bool {
	return strings.HasPrefix(path, compatPrefix) || strings.HasPrefix(path, snsPrefix)
}

// loginCompat answers a login as WeChat does, unless it returns a refusal.
func (a *api) loginCompat(w http.ResponseWriter, r *http.Request) *refusal {
	if refused := a.guardCompat(r); refused != nil {
		return refused
	}
	var to codeRoute
	switch r.URL.Path {
	case compatLogin:
		to = codes[loginAction]
	case compatOAuth:
		to = codes[oauthAction]
	default:
		return notServed()
	}
	if a.logins.exchange == nil {
		return loginsOff()
	}
	if r.Method != http.MethodGet {
		return notGET
	}
	query := r.URL.Query()
	appID, secret, code := query.Get("appid"), query.Get("secret"), query.Get(to.field)
	if refused := a.authorize(query.Get("grant_type") == "authorization_code", appID, secret); refused != nil {
		return refused
	}
	switch {
	case a.reader.is(secret):
		return readersOnly()
	case code == "":
		return noCode
	case !login.ValidCode(code):
		return wrongCode
	}
	return asWeChat(a.relay(w, r, login.Request{API: to.api, AppID: appID, Code: code}))
}

// asWeChat returns a refusal of /v1 as WeChat would say it. WeChat's own stay. Those without
// an errcode of WeChat's are -1, which SDKs take for "try again" and send the same code once
// more. So they are 40029 if the code may be used up.
func asWeChat(refused *refusal) *refusal {
	if refused == nil {
		return nil
	}
	code, message := refused.code, refused.message
	switch {
	case refused.spent:
		return weChatSays(wrongCode.code, wrongCode.message+": "+message+" ("+refused.hint+")")
	case code == refused.status && code != http.StatusBadGateway: // our own
		code = busyCode
	}
	if refused.hint != "" && (code < 0 || refused.status != http.StatusBadGateway) {
		message += " (" + refused.hint + ")"
	}
	return weChatSays(code, message)
}
