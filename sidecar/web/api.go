package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/login"
)

// maxUnderWay bounds the open requests, and so the memory.
const maxUnderWay = 20_000

// APIConfig configures the API.
type APIConfig struct {
	// Group has the credentials.
	Group *keeper.Group
	// BearerFile holds the bearer token that callers must send; in a second line another
	// one, which is accepted too. White space is cut, and the file is read again when it
	// changes. "" means no bearer token.
	BearerFile string
	// ReaderFile holds, in the same form, the bearer token of callers that may read and do
	// nothing else. "" means that there are none. It needs a BearerFile.
	ReaderFile string
	// Upstream is true if this sidecar asks an upstream itself: it refuses other sidecars.
	Upstream bool
	// Compat also serves WeChat's own credential routes.
	Compat bool
	// Login exchanges users' codes; nil means that the routes for logins are off.
	Login login.Exchange
	// Metrics counts the answers; nil means none.
	Metrics *Metrics
	// Log receives a line for each request at debug, and errors of BearerFile; nil
	// means none.
	Log *slog.Logger
}

// api is the handler of the API.
type api struct {
	group    *keeper.Group
	bearer   *bearer // nil: none is configured
	reader   *bearer // of callers that may only read; nil: there are none
	refused  *refusedCallers
	upstream bool
	compat   bool
	logins   logins
	metrics  *Metrics
	log      *slog.Logger
	underWay atomic.Int64
	max      int64
}

// NewAPI returns the API's handler. It fails if a bearer token's file cannot be read or
// holds no usable token.
func NewAPI(cfg APIConfig) (http.Handler, error) {
	a := &api{group: cfg.Group, upstream: cfg.Upstream, compat: cfg.Compat, metrics: cfg.Metrics, log: cfg.Log, max: maxUnderWay}
	if a.metrics == nil {
		a.metrics = NewMetrics()
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.logins = logins{exchange: cfg.Login, log: a.log}
	a.refused = &refusedCallers{
		reason: "missing or wrong bearer token", count: a.metrics.wrongBearer, log: a.log,
		hint: "give the caller the token in SIDECAR_AUTH_TOKEN_FILE; after a rotation it must read its file again",
	}
	var err error
	if cfg.BearerFile != "" {
		if a.bearer, err = newBearer(cfg.BearerFile, "SIDECAR_AUTH_TOKEN_FILE", a.log); err != nil {
			return nil, err
		}
	}
	if cfg.ReaderFile != "" {
		if a.reader, err = newBearer(cfg.ReaderFile, "SIDECAR_READER_TOKEN_FILE", a.log); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer recovered(w, a.log)
	if !a.log.Enabled(r.Context(), slog.LevelDebug) {
		_ = a.serve(w, r)
		return
	}
	start := time.Now()
	refused := a.serve(w, r)
	status, code := http.StatusOK, 0
	if refused != nil {
		status, code = refused.status, refused.code
	}
	appID := ""
	if to, bad := parseRoute(r); bad == nil {
		appID = to.appID
	}
	a.log.Debug("request", "method", r.Method, "appid", appID, "status", status, "errcode", code,
		"duration_ms", time.Since(start).Milliseconds())
}

// recovered answers if a handler panicked. It logs the value only if the runtime made
// it: another one can hold a credential.
func recovered(w http.ResponseWriter, log *slog.Logger) {
	cause := recover()
	if cause == nil {
		return
	}
	text := fmt.Sprintf("a %T", cause)
	if fault, ok := cause.(runtime.Error); ok {
		text = fault.Error()
	}
	log.Error("request panicked", "panic", text, "stack", string(debug.Stack()), "hint", hint.Fault)
	refuse(http.StatusInternalServerError, "internal error of wxsidecar", "see its log").write(w)
}

// serve answers r. It returns the refusal, if any.
func (a *api) serve(w http.ResponseWriter, r *http.Request) *refusal {
	if a.isCompat(r) {
		return a.serveCompat(w, r)
	}
	refused := a.serveRoute(w, r)
	if refused != nil {
		if refused.status == http.StatusUnauthorized {
			a.refused.note(r)
		}
		a.metrics.refusal.Inc()
		refused.write(w)
	}
	return refused
}

// serveRoute answers r, unless it returns a refusal.
func (a *api) serveRoute(w http.ResponseWriter, r *http.Request) *refusal {
	if weChatsOwn(r.URL.Path) && !a.compat { // its callers do not send X-Wxsidecar
		return refuse(http.StatusNotFound, "WeChat's own routes are off", "set SIDECAR_COMPAT=true for the sidecar")
	}
	if refused := a.guard(r); refused != nil {
		return refused
	}
	if a.upstream && bySidecar(r) {
		return refuse(http.StatusBadRequest, "this sidecar has an upstream itself: SIDECAR_UPSTREAM is set",
			"name the sidecar with the AppSecret in your SIDECAR_UPSTREAM")
	}
	to, refused := parseRoute(r)
	if refused != nil {
		return refused
	}
	isLogin := to.action == loginAction || to.action == oauthAction
	if isLogin && a.logins.exchange == nil {
		return loginsOff()
	}
	if !slices.Contains(to.methods, r.Method) {
		return methodNotAllowed(to.methods)
	}
	if isLogin && a.onlyReads(r) {
		return readersOnly()
	}
	if isLogin {
		return a.serveLogin(w, r, to.appID, codes[to.action])
	}
	defer a.underWay.Add(-1)
	if a.underWay.Add(1) > a.max {
		return tooMany()
	}
	if to.action == signature {
		return a.serveSignature(w, r, to.appID)
	}
	return a.serveCredential(w, r, to)
}

// count counts the source of a credential.
func (a *api) count(grant keeper.Grant) {
	if grant.Waited {
		a.metrics.renewal.Inc()
	} else {
		a.metrics.memory.Inc()
	}
}

// serveCredential answers with a credential.
func (a *api) serveCredential(w http.ResponseWriter, r *http.Request, to route) *refusal {
	var grant keeper.Grant
	var err error
	if to.refresh {
		if a.onlyReads(r) {
			return readersOnly()
		}
		rejected, refused := readReport(w, r)
		if refused != nil {
			return refused
		}
		grant, err = a.group.Refresh(r.Context(), to.appID, to.kind, rejected)
	} else {
		grant, err = a.group.Token(r.Context(), to.appID, to.kind)
	}
	if err != nil {
		return refusalOf(err)
	}
	a.count(grant)
	writeGrant(w, to.kind, grant, bySidecar(r))
	return nil
}
