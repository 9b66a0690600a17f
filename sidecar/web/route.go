package web

import (
	"net/http"
	"strings"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// route is what a request asks for.
type route struct {
	appID   string
	kind    memcache.Kind
	refresh bool
	method  string // the only one allowed
}

// parseRoute reads the path: /v1/{appid}/{kind} or /v1/{appid}/{kind}/refresh.
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
	kind, action, deeper := strings.Cut(rest, "/")
	to := route{appID: appID, kind: memcache.Kind(kind), refresh: deeper, method: http.MethodGet}
	if deeper {
		if action != "refresh" {
			return route{}, noRoute()
		}
		to.method = http.MethodPost
	}
	if !memcache.ValidAppID(appID) {
		return route{}, refuse(http.StatusBadRequest, "malformed AppID", "an AppID is 1 to 64 letters, digits, _ or -")
	}
	switch to.kind {
	case memcache.AccessToken, memcache.JSAPITicket, memcache.WXCardTicket:
		return to, nil
	}
	return route{}, noRoute()
}

func noRoute() *refusal {
	return refuse(http.StatusNotFound, "no such route", "request /v1/{appid}/access_token, jsapi_ticket or wx_card_ticket")
}

func methodNotAllowed(allowed string) *refusal {
	refused := refuse(http.StatusMethodNotAllowed, "method not allowed", "use "+allowed)
	refused.allow = allowed
	return refused
}
