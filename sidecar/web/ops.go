package web

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	// largeAtOnce is how many answers that hold the states of all accounts are made at a
	// time. Each takes 3 to 6 MB with 10,000 accounts.
	largeAtOnce = 4
	// largeWait is how long a request for one waits for its turn.
	largeWait = 5 * time.Second
	// largeWrite is how long the client has to read one. A slow client must not keep the
	// others waiting.
	largeWrite = 4 * time.Second
)

// OpsConfig configures the ops listener.
type OpsConfig struct {
	// Group has the credentials.
	Group *keeper.Group
	// Metrics counts what this process does; nil means that all counts are 0.
	Metrics *Metrics
	// API is the API that tokens come from; "" means wechat.Token.
	API wechat.API
	// Name is the sidecar's, and Version the program's. Either can be empty.
	Name, Version string
	// Hosts are further names in the Host of requests for / and /status.json.
	Hosts []string
	// Servers are memcached's, as configured.
	Servers []string
	// Mirrors returns the state of each mirror; nil means that there are none.
	Mirrors func() []mirror.State
	// Quota returns WeChat's own count for an account, or nil; nil means that it is off.
	Quota func(appID string) *status.Quota
	// Notes has what people should know; nil means that there is nothing.
	Notes *status.Notes
	// Log receives panics and refused requests; nil means none.
	Log *slog.Logger
}

// ops is the handler of the ops listener.
type ops struct {
	cfg       OpsConfig
	hosts     opsHosts
	states    func() []keeper.State
	memcached func() keeper.Outage
	now       func() time.Time
	start     time.Time
	started   atomic.Bool   // every account had a published credential
	large     chan struct{} // holds one element for each large answer that is being made
}

// NewOps returns the handler of the ops listener. The process counts as started now.
func NewOps(cfg OpsConfig) http.Handler {
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	memcached := func() keeper.Outage { return oneOutage(cfg.Group.Outages(), len(cfg.Servers) > 1) }
	own, _, _ := strings.Cut(strings.ToLower(cfg.Name), ".")
	hosts := opsHosts{own: own, guard: &refusedCallers{
		reason: "the Host is not one of the sidecar's", count: cfg.Metrics.foreignHost, log: cfg.Log, hint: "add the name to SIDECAR_OPS_HOSTS if it is yours",
	}}
	for _, name := range cfg.Hosts {
		hosts.more = append(hosts.more, strings.TrimSuffix(strings.ToLower(name), "."))
	}
	return &ops{
		cfg: cfg, hosts: hosts, states: cfg.Group.States, memcached: memcached, now: time.Now, start: time.Now(),
		large: make(chan struct{}, largeAtOnce),
	}
}

// mirrors returns the state of each mirror.
func (o *ops) mirrors() []mirror.State {
	if o.cfg.Mirrors == nil {
		return nil
	}
	return o.cfg.Mirrors()
}

// quota returns WeChat's own count for a token's account, or nil.
func (o *ops) quota(s *keeper.State) *status.Quota {
	if o.cfg.Quota == nil || s.Kind != memcache.AccessToken {
		return nil
	}
	return o.cfg.Quota(s.AppID)
}

// ServeHTTP implements http.Handler.
func (o *ops) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer recovered(w, o.cfg.Log)
	h := w.Header()
	h["Cache-Control"] = noStore
	h["Connection"] = closing
	h["X-Content-Type-Options"] = noSniff
	serve := o.route(r.URL.Path)
	switch {
	case serve == nil:
		writeText(w, http.StatusNotFound, "no such route; use /, /metrics, /status.json, /livez, /startupz or /readyz\n")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		writeText(w, http.StatusMethodNotAllowed, "method not allowed; use GET or HEAD\n")
	default:
		serve(w, r)
	}
}

// route returns the handler of a path, or nil.
func (o *ops) route(path string) func(http.ResponseWriter, *http.Request) {
	switch path {
	case "/livez":
		return o.probe(o.live)
	case "/startupz":
		return o.serveStartup
	case "/readyz":
		return o.inTurn(o.probe(o.ready))
	case "/metrics":
		return o.inTurn(o.serveMetrics)
	case "/status.json":
		return o.forPeople(o.inTurn(o.serveStatus))
	case "/":
		return o.forPeople(o.inTurn(o.servePage))
	}
	return nil
}

// inTurn bounds the answers that hold the states of all accounts.
func (o *ops) inTurn(serve func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(largeWait)
		defer timer.Stop()
		select {
		case o.large <- struct{}{}:
			defer func() { <-o.large }()
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(largeWrite)) // a test recorder has none
			serve(w, r)
		case <-timer.C:
			w.Header().Set("Retry-After", "1")
			writeText(w, http.StatusServiceUnavailable, "too many requests; try again\n")
		case <-r.Context().Done(): // the client left
		}
	}
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // if it fails, nobody reads
}
