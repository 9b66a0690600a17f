package web

import (
	"net"
	"net/http"
	"strings"

	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// guard refuses whoever may have been tricked into asking; see the package
// comment.
func (a *api) guard(r *http.Request) *refusal {
	if own := r.Header["X-Wxsidecar"]; len(own) != 1 || own[0] != "1" {
		return refuse(http.StatusForbidden, "the header X-Wxsidecar: 1 is missing", "send it with every request")
	}
	if a.bearer != nil {
		if !a.bearer.matches(r.Header["Authorization"]) {
			return refuse(http.StatusUnauthorized, "wrong bearer token, or none", "send Authorization: Bearer and what SIDECAR_AUTH_TOKEN_FILE holds")
		}
		return nil
	}
	return refuseStrangers(r)
}

// refuseStrangers refuses what only a proxy or a web page sends: the guards where
// no bearer token is configured.
func refuseStrangers(r *http.Request) *refusal {
	for _, header := range [...]string{"X-Forwarded-For", "Origin"} {
		if _, ok := r.Header[header]; ok {
			return refuse(http.StatusForbidden, "requests with the header "+header+" are not answered",
				"no proxy and no browser may ask; set SIDECAR_AUTH_TOKEN_FILE where a proxy must stand in between")
		}
	}
	if !listener.IsLoopback(hostOnly(r.Host)) && !overUnixSocket(r) {
		return refuse(http.StatusForbidden, "the Host is not loopback", "ask 127.0.0.1 or localhost, or set SIDECAR_AUTH_TOKEN_FILE")
	}
	return nil
}

// overUnixSocket reports whether r came over a unix socket: then its Host is any
// name, and no web page can have sent it.
func overUnixSocket(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && local.Network() == "unix"
}

// hostOnly is a Host header without its port; "" where it makes no sense.
func hostOnly(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if !listener.IsPort(port) {
			return ""
		}
		return name
	}
	if name, ok := strings.CutPrefix(host, "["); ok {
		name, ok = strings.CutSuffix(name, "]")
		if !ok {
			return ""
		}
		return name
	}
	return host
}
