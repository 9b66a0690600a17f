package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// opsHosts decides by their Host who may see what the ops listener shows to people. A
// web page whose name was rebound to this address has another Host.
type opsHosts struct {
	own   string   // the first label of this host's name, in lower case; "" is none
	more  []string // in lower case
	guard *refusedCallers
}

// clusterSuffixes end names that no public DNS has.
var clusterSuffixes = []string{".svc", ".cluster.local", ".internal", ".local"}

// known reports whether the Host of r is an address, or a name of this sidecar.
func (h *opsHosts) known(r *http.Request) bool {
	if r.Host == "" || overUnixSocket(r) {
		return true
	}
	name := strings.TrimSuffix(strings.ToLower(hostOnly(r.Host)), ".")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	first, _, dotted := strings.Cut(name, ".")
	switch {
	case !validHost(name):
		return false
	case !dotted, first == h.own, slices.Contains(h.more, name):
		return true
	}
	return slices.ContainsFunc(clusterSuffixes, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}

// CheckOpsHost reports whether a name can be one of OpsConfig.Hosts.
func CheckOpsHost(name string) bool { return validHost(strings.ToLower(name)) }

// validHost reports whether a name in lower case has only characters of host names.
func validHost(name string) bool {
	return name != "" && len(name) <= 253 && !strings.HasPrefix(name, ".") && !strings.ContainsFunc(name, func(c rune) bool {
		return c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
	})
}

// forPeople serves a page to requests with a known Host.
func (o *ops) forPeople(serve func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		if o.hosts.known(r) {
			serve(w, r)
			return
		}
		o.hosts.guard.note(r, "host", bounded(r.Host))
		writeText(w, http.StatusMisdirectedRequest,
			"this Host is not one of the sidecar's; use an IP address or localhost, or add the name to SIDECAR_OPS_HOSTS\n")
	}
}

// bounded returns at most as much of a Host as a name can have.
func bounded(host string) string { return host[:min(len(host), 260)] }
