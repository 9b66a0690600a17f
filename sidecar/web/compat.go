package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// WeChat's own routes, for programs whose token address can be set.
const (
	compatPrefix = "/cgi-bin/"
	compatToken  = compatPrefix + "token"
	compatStable = compatPrefix + "stable_token"
	compatTicket = compatPrefix + "ticket/getticket"
)

// ticketTypes are WeChat's names of the tickets.
var ticketTypes = map[string]memcache.Kind{"jsapi": memcache.JSAPITicket, "wx_card": memcache.WXCardTicket}

// unknownAppID is WeChat's errcode for an AppID that it does not know.
const unknownAppID = 40013

// WeChat's answers to a wrong request, in its own words.
var (
	foreignToken   = weChatSays(40001, "invalid credential, access_token is invalid or not latest")
	wrongGrantType = weChatSays(40002, "invalid grant_type")
	wrongType      = weChatSays(40097, "invalid args: type must be jsapi or wx_card")
	noToken        = weChatSays(41001, "access_token missing")
	noAppID        = weChatSays(41002, "appid missing")
	noSecret       = weChatSays(41004, "appsecret missing: send the token in SIDECAR_AUTH_TOKEN_FILE as secret")
	notGET         = weChatSays(43001, "require GET method")
	notPOST        = weChatSays(43002, "require POST method")
	wrongBody      = weChatSays(47001, "data format error: the body must be a JSON object of this form, of at most 8 KiB")
	// WeChat says 40001 too, but then programs fetch a token and repeat the request.
	wrongSecret = weChatSays(40125, "invalid appsecret: send the token in SIDECAR_AUTH_TOKEN_FILE as secret")
)

// weChatSays returns a refusal like WeChat's: HTTP 200, and the errcode in the body.
func weChatSays(code int, message string) *refusal {
	return &refusal{status: http.StatusOK, code: code, message: message}
}

// asked is the credential that a request wants.
type asked struct {
	appID string
	kind  memcache.Kind
}

// isCompat reports whether r is for one of WeChat's routes, and they are on.
func (a *api) isCompat(r *http.Request) bool {
	return a.compat && r.URL.Host == "" && r.URL.RawPath == "" && weChatsOwn(r.URL.Path)
}

// serveCompat answers r as WeChat does. It returns the refusal, if any.
func (a *api) serveCompat(w http.ResponseWriter, r *http.Request) *refusal {
	answer := a.credentialCompat
	if strings.HasPrefix(r.URL.Path, snsPrefix) {
		answer = a.loginCompat
	}
	refused := answer(w, r)
	if refused != nil {
		if refused == noSecret || refused == wrongSecret {
			a.refused.note(r)
		}
		a.metrics.refusal.Inc()
		refused.write(w)
	}
	return refused
}

// credentialCompat answers with a credential as WeChat does, unless it returns a refusal.
func (a *api) credentialCompat(w http.ResponseWriter, r *http.Request) *refusal {
	grant, kind, refused := a.grantCompat(w, r)
	if refused != nil {
		return refused
	}
	a.count(grant)
	if kind == memcache.AccessToken {
		writeGrant(w, kind, grant, false)
	} else {
		writeTicketAsWeChat(w, grant)
	}
	return nil
}

// guardCompat applies the guards of WeChat's own routes.
func (a *api) guardCompat(r *http.Request) *refusal {
	if _, browser := r.Header["Sec-Fetch-Site"]; browser { // not Sec-Fetch-Mode, which Node.js sends
		return refuse(http.StatusForbidden, "the header Sec-Fetch-Site is not allowed", "these routes are not for browsers")
	}
	if a.bearer == nil {
		return refuseForwarded(r)
	}
	return nil
}

// grantCompat returns the credential that r asks for, and its kind.
func (a *api) grantCompat(w http.ResponseWriter, r *http.Request) (keeper.Grant, memcache.Kind, *refusal) {
	if refused := a.guardCompat(r); refused != nil {
		return keeper.Grant{}, "", refused
	}
	defer a.underWay.Add(-1)
	if a.underWay.Add(1) > a.max {
		return keeper.Grant{}, "", weChatSays(busyCode, tooMany().message)
	}
	ctx, cancel := context.WithTimeout(r.Context(), keeper.MaxWait)
	defer cancel()
	want, refused := a.parseCompat(ctx, w, r)
	if refused != nil {
		return keeper.Grant{}, "", refused
	}
	grant, err := a.group.Token(ctx, want.appID, want.kind)
	if err != nil {
		return keeper.Grant{}, "", compatRefusal(err)
	}
	return grant, want.kind, nil
}

// parseCompat reads and authorizes r.
func (a *api) parseCompat(ctx context.Context, w http.ResponseWriter, r *http.Request) (asked, *refusal) {
	switch r.URL.Path {
	case compatStable:
		return a.parseStable(w, r)
	case compatToken, compatTicket:
	default:
		return asked{}, notServed()
	}
	if r.Method != http.MethodGet {
		return asked{}, notGET
	}
	query := r.URL.Query()
	if r.URL.Path == compatToken {
		return a.tokenOf(query.Get("grant_type"), query.Get("appid"), query.Get("secret"))
	}
	return a.ticketOf(ctx, query.Get("access_token"), query.Get("type"))
}

func notServed() *refusal {
	return refuse(http.StatusNotFound, "this sidecar does not serve this route of WeChat's",
		"send everything to WeChat except "+strings.Join([]string{compatToken, compatStable, compatTicket, compatLogin, compatOAuth}, ", "))
}

// parseStable reads the body of a request for a stable_token. It ignores force_refresh:
// the keeper decides when to renew.
func (a *api) parseStable(w http.ResponseWriter, r *http.Request) (asked, *refusal) {
	if r.Method != http.MethodPost {
		return asked{}, notPOST
	}
	var body struct {
		GrantType string `json:"grant_type"`
		AppID     string `json:"appid"`
		Secret    string `json:"secret"`
	}
	text, refused := readBody(w, r)
	if refused != nil || json.Unmarshal(text, &body) != nil {
		return asked{}, wrongBody
	}
	return a.tokenOf(body.GrantType, body.AppID, body.Secret)
}

// tokenOf authorizes a request for an account's token.
func (a *api) tokenOf(grantType, appID, secret string) (asked, *refusal) {
	return asked{appID, memcache.AccessToken}, a.authorize(grantType == "client_credential", appID, secret)
}

// authorize authorizes a request that has an AppSecret at WeChat. If a bearer token is
// configured, the secret must be one of the file's, before a caller learns which accounts
// there are. If none is, the secret does not matter.
func (a *api) authorize(grantType bool, appID, secret string) *refusal {
	switch {
	case !grantType:
		return wrongGrantType
	case appID == "":
		return noAppID
	case a.bearer != nil && secret == "":
		return noSecret
	case a.bearer != nil && !a.bearer.is(secret) && !a.reader.is(secret):
		return wrongSecret
	}
	return nil
}

// ticketOf authorizes a request for a ticket of the account that owns the token. The
// request has no secret, as at WeChat: the token authorizes it, because its holder can
// fetch the ticket from WeChat. So if a bearer token is configured, a token that is known
// by 32 bits alone is not enough: those can be guessed.
func (a *api) ticketOf(ctx context.Context, token, ticketType string) (asked, *refusal) {
	if token == "" {
		return asked{}, noToken
	}
	appID, proven := a.group.OwnerOf(ctx, token)
	if appID == "" || (a.bearer != nil && !proven) {
		return asked{}, foreignToken
	}
	kind, ok := ticketTypes[ticketType]
	if !ok {
		return asked{}, wrongType
	}
	return asked{appID, kind}, nil
}

// compatRefusal returns the keeper's error as WeChat would say it. WeChat's own refusals
// stay. Errors without an errcode of WeChat's are -1, which programs take for "try again".
func compatRefusal(err error) *refusal {
	var e *keeper.Error
	if !errors.As(err, &e) {
		return weChatSays(busyCode, "internal error of wxsidecar: "+hint.Fault.English)
	}
	message := e.Message
	if e.Hint != (hint.Hint{}) {
		message += " (" + e.Hint.String() + ")"
	}
	switch {
	case e.Reason == keeper.NotConfigured && e.Code != unknownAppID:
		// The account may not use this API: programs neither renew their token nor repeat.
		return weChatSays(48001, "api unauthorized: "+message)
	case e.Reason == keeper.NotConfigured:
		return weChatSays(unknownAppID, message)
	case e.Reason != keeper.Budget && e.Code > 0:
		return weChatSays(e.Code, e.Message)
	}
	return weChatSays(busyCode, message)
}

// writeTicketAsWeChat answers with a ticket. Some SDKs need its errcode.
func writeTicketAsWeChat(w http.ResponseWriter, grant keeper.Grant) {
	setHeaders(w.Header())
	_ = json.NewEncoder(w).Encode(struct { // if it fails, nobody reads
		Code      int    `json:"errcode"`
		Message   string `json:"errmsg"`
		Ticket    string `json:"ticket"`
		ExpiresIn int64  `json:"expires_in"`
	}{0, "ok", grant.Value, int64(grant.ExpiresIn / time.Second)})
}
