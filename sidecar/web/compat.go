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

// ticketTypes is what WeChat calls the tickets.
var ticketTypes = map[string]memcache.Kind{"jsapi": memcache.JSAPITicket, "wx_card": memcache.WXCardTicket}

// unknownAppID is what WeChat answers to an AppID that it does not know.
const unknownAppID = 40013

// What WeChat says of a request, in its own words.
var (
	strangeToken   = weChatSays(40001, "invalid credential, access_token is invalid or not latest")
	wrongGrantType = weChatSays(40002, "invalid grant_type")
	wrongType      = weChatSays(40097, "invalid args: type must be jsapi or wx_card")
	noToken        = weChatSays(41001, "access_token missing")
	noAppID        = weChatSays(41002, "appid missing")
	noSecret       = weChatSays(41004, "appsecret missing: send what SIDECAR_AUTH_TOKEN_FILE holds as secret")
	notGET         = weChatSays(43001, "require GET method")
	notPOST        = weChatSays(43002, "require POST method")
	wrongBody      = weChatSays(47001, "data format error: the body must be a JSON object of this form, of at most 8 KiB")
	// 40001, which WeChat says too, would have programs fetch a token and repeat.
	wrongSecret = weChatSays(40125, "invalid appsecret: send what SIDECAR_AUTH_TOKEN_FILE holds as secret")
)

// weChatSays is a refusal as WeChat's are: HTTP 200, and the errcode in the body.
func weChatSays(code int, message string) *refusal {
	return &refusal{status: http.StatusOK, code: code, message: message}
}

// asked is the credential that a request to one of WeChat's routes is for.
type asked struct {
	appID string
	kind  memcache.Kind
}

// isCompat reports whether r asks for one of WeChat's routes, and they are served.
func (a *api) isCompat(r *http.Request) bool {
	return a.compat && r.URL.Host == "" && r.URL.RawPath == "" && strings.HasPrefix(r.URL.Path, compatPrefix)
}

// serveCompat answers r as WeChat would. It returns the refusal, if it is one.
func (a *api) serveCompat(w http.ResponseWriter, r *http.Request) *refusal {
	grant, kind, refused := a.grantCompat(w, r)
	if refused != nil {
		a.metrics.refusal.Inc()
		refused.write(w)
		return refused
	}
	a.count(grant)
	if kind == memcache.AccessToken {
		writeGrant(w, kind, grant)
	} else {
		writeTicketAsWeChat(w, grant)
	}
	return nil
}

// grantCompat brings the credential that r asks for, and says of which kind it is.
func (a *api) grantCompat(w http.ResponseWriter, r *http.Request) (keeper.Grant, memcache.Kind, *refusal) {
	if a.bearer == nil {
		if refused := refuseStrangers(r); refused != nil {
			return keeper.Grant{}, "", refused
		}
	}
	defer a.underWay.Add(-1)
	if a.underWay.Add(1) > a.max {
		return keeper.Grant{}, "", weChatSays(busyCode, tooMany().message)
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxWait)
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

// parseCompat reads what r asks for, and finds whether it may.
func (a *api) parseCompat(ctx context.Context, w http.ResponseWriter, r *http.Request) (asked, *refusal) {
	switch r.URL.Path {
	case compatStable:
		return a.parseStable(w, r)
	case compatToken, compatTicket:
	default:
		return asked{}, refuse(http.StatusNotFound, "of WeChat's routes only those of credentials are served here",
			"ask WeChat itself for all but "+compatToken+", "+compatStable+" and "+compatTicket)
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

// parseStable reads the body of a request for a stable_token. force_refresh is not
// read: when to renew is the keeper's to decide.
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

// tokenOf is an account's token. Where a bearer is configured the secret must be
// it, and nobody else learns which accounts there are; else it is not looked at.
func (a *api) tokenOf(grantType, appID, secret string) (asked, *refusal) {
	switch {
	case grantType != "client_credential":
		return asked{}, wrongGrantType
	case appID == "":
		return asked{}, noAppID
	case a.bearer != nil && secret == "":
		return asked{}, noSecret
	case a.bearer != nil && !a.bearer.is(secret):
		return asked{}, wrongSecret
	}
	return asked{appID, memcache.AccessToken}, nil
}

// ticketOf is a ticket of the account that owns the token. The request has no
// place for a secret, at WeChat's neither: the token lets the caller in, since
// whoever has it can fetch the ticket from WeChat. So where a bearer is configured
// a token that is known by 32 bits alone is nobody's: those can be guessed.
func (a *api) ticketOf(ctx context.Context, token, ticketType string) (asked, *refusal) {
	if token == "" {
		return asked{}, noToken
	}
	appID, proven := a.group.OwnerOf(ctx, token)
	if appID == "" || (a.bearer != nil && !proven) {
		return asked{}, strangeToken
	}
	kind, ok := ticketTypes[ticketType]
	if !ok {
		return asked{}, wrongType
	}
	return asked{appID, kind}, nil
}

// compatRefusal is what the keeper failed with, as WeChat would tell it. Its own
// refusals pass through; what it has no errcode for is -1, which programs take
// for "try again".
func compatRefusal(err error) *refusal {
	var e *keeper.Error
	if !errors.As(err, &e) {
		return weChatSays(busyCode, "a fault of wxsidecar, report it")
	}
	message := e.Message
	if e.Hint != (hint.Hint{}) {
		message += " (" + e.Hint.String() + ")"
	}
	switch {
	case e.Reason == keeper.NotConfigured && e.Code != unknownAppID:
		// WeChat's code for an API that the account has no right to: no program renews
		// its token for it, or tries again.
		return weChatSays(48001, "api unauthorized: "+message)
	case e.Reason == keeper.NotConfigured:
		return weChatSays(unknownAppID, message)
	case e.Reason != keeper.Budget && e.Code > 0:
		return weChatSays(e.Code, e.Message)
	}
	return weChatSays(busyCode, message)
}

// writeTicketAsWeChat answers with a ticket: some SDKs look at its errcode.
func writeTicketAsWeChat(w http.ResponseWriter, grant keeper.Grant) {
	setHeaders(w.Header())
	_ = json.NewEncoder(w).Encode(struct { // the caller has gone: nobody to tell
		Code      int    `json:"errcode"`
		Message   string `json:"errmsg"`
		Ticket    string `json:"ticket"`
		ExpiresIn int64  `json:"expires_in"`
	}{0, "ok", grant.Value, int64(grant.ExpiresIn / time.Second)})
}
