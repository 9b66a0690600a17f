package web

import (
	"net/http"
	"strings"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// route is what a request asks for.
type route struct {
	appID   string
	kind    memcache.Kind // of the credential; "" for an action
	action  string        // what else can be asked for
	refresh bool
	methods []string // those allowed
}

// The actions: signing a page for WeChat's JS-SDK, and exchanging a user's code.
const (
	signature   = "jsapi_signature"
	loginAction = "login" // of a mini program
	oauthAction = "oauth" // of a web page
)

// The methods of the routes.
var (
	onlyGET   = []string{http.MethodGet}
	onlyPOST  = []string{http.MethodPost}
	getOrPOST = []string{http.MethodGet, http.MethodPost}
)

// actions has the methods of each action.
var actions = map[string][]string{signature: getOrPOST, loginAction: onlyPOST, oauthAction: onlyPOST}

// parseRoute reads the path: /v1/{appid}/{kind}, /v1/{appid}/{kind}/refresh or
// /v1/{appid}/{action}.
// http.ServeMux would redirect to a cleaned path, and decode an encoded one.
func parseRoute(r *http.Request) (route, *refusal) {
	if r.URL.Host != "" || r.URL.Opaque != "" || r.URL.RawPath != "" {
		// http://host/path, or an encoding, which these paths never need.
		return route{}, refuse(http.StatusBadRequest, "malformed path", "request /v1/{appid}/access_token without percent-encoding")
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok {
		return route{}, noRoute()
	}
	appID, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return route{}, noRoute()
	}
	name, verb, deeper := strings.Cut(rest, "/")
	if deeper && verb != "refresh" {
		return route{}, noRoute()
	}
	if !memcache.ValidAppID(appID) {
		return route{}, refuse(http.StatusBadRequest, "malformed AppID", "an AppID is 1 to 64 letters, digits, _ or -")
	}
	switch kind := memcache.Kind(name); {
	case kind != memcache.AccessToken && kind != memcache.JSAPITicket && kind != memcache.WXCardTicket:
	case deeper:
		return route{appID: appID, kind: kind, refresh: true, methods: onlyPOST}, nil
	default:
		return route{appID: appID, kind: kind, methods: onlyGET}, nil
	}
	if methods, ok := actions[name]; ok && !deeper {
		return route{appID: appID, action: name, methods: methods}, nil
	}
	return route{}, noRoute()
}

func noRoute() *refusal {
	return refuse(http.StatusNotFound, "no such route", "request /v1/{appid}/access_token, jsapi_ticket, wx_card_ticket, jsapi_signature, login or oauth")
}

func methodNotAllowed(allowed []string) *refusal {
	refused := refuse(http.StatusMethodNotAllowed, "method not allowed", "use "+strings.Join(allowed, " or "))
	refused.allow = strings.Join(allowed, ", ")
	return refused
}
