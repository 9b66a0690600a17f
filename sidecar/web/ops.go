package web

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	// largeAtOnce is how many of the answers are made at a time that hold the
	// states of all accounts, 3 to 6 MB where there are ten thousand.
	largeAtOnce = 4
	// largePatience is how long a request for one waits for its turn.
	largePatience = 5 * time.Second
	// largeWrite is how long one may take to be read: a slow reader must not keep
	// the others waiting.
	largeWrite = 4 * time.Second
)

// OpsConfig says what the ops listener tells about.
type OpsConfig struct {
	// Group keeps the credentials.
	Group *keeper.Group
	// Metrics counts what this process does; nil means that nothing is counted.
	Metrics *Metrics
	// API is how tokens are fetched; "" means wechat.Token.
	API wechat.API
	// Name is this sidecar's, and Version that of its program. Either may be empty.
	Name, Version string
	// Servers are memcached's, as people know them.
	Servers []string
	// Mirrors is how each mirror is doing; nil means that there are none.
	Mirrors func() []mirror.State
	// Log receives what was this program's fault; nil means none.
	Log *slog.Logger
}

// ops is the handler of the ops listener.
type ops struct {
	cfg       OpsConfig
	states    func() []keeper.State
	memcached func() keeper.Outage
	now       func() time.Time
	start     time.Time
	started   atomic.Bool   // every account had a published credential, or it took too long
	large     chan struct{} // holds one for each large answer under way
}

// NewOps returns the handler of the ops listener. It counts the time of the
// start from now.
func NewOps(cfg OpsConfig) http.Handler {
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	memcached := func() keeper.Outage { return oneOutage(cfg.Group.Outages(), len(cfg.Servers) > 1) }
	return &ops{
		cfg: cfg, states: cfg.Group.States, memcached: memcached, now: time.Now, start: time.Now(),
		large: make(chan struct{}, largeAtOnce),
	}
}

// mirrors is how each mirror is doing.
func (o *ops) mirrors() []mirror.State {
	if o.cfg.Mirrors == nil {
		return nil
	}
	return o.cfg.Mirrors()
}

// ServeHTTP implements http.Handler.
func (o *ops) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer recovered(w, o.cfg.Log)
	h := w.Header()
	h["Cache-Control"] = noStore
	h["Connection"] = closing
	serve := o.route(r.URL.Path)
	switch {
	case serve == nil:
		writeText(w, http.StatusNotFound, "no such route: there are /, /metrics, /status.json, /livez, /startupz and /readyz\n")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		writeText(w, http.StatusMethodNotAllowed, "use GET or HEAD\n")
	default:
		serve(w, r)
	}
}

// route is what answers for a path; nil where nothing does.
func (o *ops) route(path string) func(http.ResponseWriter, *http.Request) {
	switch path {
	case "/livez":
		return probe(o.live)
	case "/startupz":
		if o.isStarted() {
			return probe(o.live)
		}
		return o.inTurn(probe(o.startup))
	case "/readyz":
		return o.inTurn(probe(o.ready))
	case "/metrics":
		return o.inTurn(o.serveMetrics)
	case "/status.json":
		return o.inTurn(o.serveStatus)
	case "/":
		return o.inTurn(o.servePage)
	}
	return nil
}

// inTurn bounds the answers under way that take the states of all accounts.
func (o *ops) inTurn(serve func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(largePatience)
		defer timer.Stop()
		select {
		case o.large <- struct{}{}:
			defer func() { <-o.large }()
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(largeWrite)) // a test's has none
			serve(w, r)
		case <-timer.C:
			w.Header().Set("Retry-After", "1")
			writeText(w, http.StatusServiceUnavailable, "too many ask at a time\n")
		case <-r.Context().Done(): // who asked has gone
		}
	}
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // who asked has gone: nobody to tell
}
