package web

import (
	"net"
	"net/http"
	"strings"

	"github.com/wxsidecar/wxsidecar/sidecar/upstream"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// guard refuses requests that a browser or an app may have been tricked into; see the
// package comment.
func (a *api) guard(r *http.Request) *refusal {
	if own := r.Header["X-Wxsidecar"]; len(own) != 1 || own[0] != "1" {
		return refuse(http.StatusForbidden, "the header X-Wxsidecar: 1 is missing", "send it with every request")
	}
	if a.bearer != nil {
		if sent := r.Header["Authorization"]; !a.bearer.matches(sent) && !a.reader.matches(sent) {
			return refuse(http.StatusUnauthorized, "missing or wrong bearer token", "send Authorization: Bearer with the token in SIDECAR_AUTH_TOKEN_FILE")
		}
		return nil
	}
	return refuseForwarded(r)
}

// bySidecar reports whether a sidecar without the AppSecret sent the request: its keeper
// needs more than an app.
func bySidecar(r *http.Request) bool { return len(r.Header[upstream.Header]) > 0 }

// onlyReads reports whether the caller may read and do nothing else: it sent the bearer
// token of SIDECAR_READER_TOKEN_FILE. Every route that does more than read must ask, and
// refuse with readersOnly. A token in both files counts as a reader's.
func (a *api) onlyReads(r *http.Request) bool { return a.reader.matches(r.Header["Authorization"]) }

func readersOnly() *refusal {
	return refuse(http.StatusForbidden, "this bearer token may only read", "send a token of the sidecar's SIDECAR_AUTH_TOKEN_FILE")
}

// refuseForwarded refuses requests that only a proxy or a web page sends. It is for
// listeners without a bearer token.
func refuseForwarded(r *http.Request) *refusal {
	for _, header := range [...]string{"X-Forwarded-For", "Origin"} {
		if _, ok := r.Header[header]; ok {
			return refuse(http.StatusForbidden, "the header "+header+" is not allowed",
				"remove the proxy or browser in between, or set SIDECAR_AUTH_TOKEN_FILE")
		}
	}
	if !listener.IsLoopback(hostOnly(r.Host)) && !overUnixSocket(r) {
		return refuse(http.StatusForbidden, "the Host is not loopback", "use 127.0.0.1 or localhost, or set SIDECAR_AUTH_TOKEN_FILE")
	}
	return nil
}

// overUnixSocket reports whether r came over a unix socket. Then its Host can be any
// name, and no web page can have sent it.
func overUnixSocket(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && local.Network() == "unix"
}

// hostOnly returns a Host header without its port, or "" if it is malformed.
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
