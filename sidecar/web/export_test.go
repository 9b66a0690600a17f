package web

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// SetMaxUnderWay bounds the requests under way in an API.
func SetMaxUnderWay(h http.Handler, n int64) { h.(*api).max = n }

// UnderWay counts the requests under way in an API.
func UnderWay(h http.Handler) int64 { return h.(*api).underWay.Load() }

// IsLoopback reports whether the name in a Host header is loopback.
func IsLoopback(host string) bool { return listener.IsLoopback(hostOnly(host)) }

// OpsOf is an ops handler over what is given, at a time that stands still.
func OpsOf(cfg OpsConfig, start, now time.Time, states []keeper.State, outage keeper.Outage) http.Handler {
	o := NewOps(cfg).(*ops)
	o.start, o.now = start, func() time.Time { return now }
	o.states = func() []keeper.State { return states }
	o.memcached = func() keeper.Outage { return outage }
	return o
}

// FamilyNames are the names of /metrics in the order of the table.
func FamilyNames() []string {
	var names []string
	for _, f := range families {
		names = append(names, f.name)
	}
	return names
}

// Actions are what the API can be asked for besides credentials.
func Actions() []string { return slices.Sorted(maps.Keys(actions)) }

// OneOutage is the outage of all servers that fail.
func OneOutage(all []keeper.Outage, named bool) keeper.Outage { return oneOutage(all, named) }

// OpsThatAsks is an ops handler with a function for the states.
func OpsThatAsks(t *testing.T, states func() []keeper.State) http.Handler {
	t.Helper()
	o := OpsOf(OpsConfig{}, time.Now(), time.Now(), nil, keeper.Outage{}).(*ops)
	o.states = states
	return o
}

// OpsThatFails is an ops handler that panics with a secret.
func OpsThatFails(log *slog.Logger) http.Handler {
	o := OpsOf(OpsConfig{Log: log}, time.Now(), time.Now(), nil, keeper.Outage{}).(*ops)
	o.states = func() []keeper.State { panic("canarysecret") }
	return o
}

// AsWeChat is what WeChat's own routes answer where the keeper failed so: the
// status and the body.
func AsWeChat(err error) (status int, body string) {
	refused := compatRefusal(err)
	return refused.status, string(refused.body())
}
