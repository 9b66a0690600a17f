package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

const (
	// startPatience is how long /startupz waits for credentials: an outage
	// elsewhere must not stop a rollout.
	startPatience = 10 * time.Second
	// maxFailures is how many accounts an answer names.
	maxFailures = 20
)

// OpsConfig says what the ops listener tells about.
type OpsConfig struct {
	// Group keeps the credentials.
	Group *keeper.Group
}

// ops is the handler of the ops listener.
type ops struct {
	group   *keeper.Group
	start   time.Time
	started atomic.Bool // every account had a published credential, or it took too long
}

// NewOps returns the handler of the ops listener. It counts the time of the
// start from now.
func NewOps(cfg OpsConfig) http.Handler {
	return &ops{group: cfg.Group, start: time.Now()}
}

// ServeHTTP implements http.Handler.
func (o *ops) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var probe func() (bool, string)
	switch r.URL.Path {
	case "/livez":
		probe = o.live
	case "/startupz":
		probe = o.startup
	case "/readyz":
		probe = o.ready
	}
	status, text := http.StatusOK, ""
	switch {
	case probe == nil:
		status, text = http.StatusNotFound, "no such route: there are /livez, /startupz and /readyz\n"
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		status, text = http.StatusMethodNotAllowed, "use GET or HEAD\n"
		w.Header().Set("Allow", "GET, HEAD")
	default:
		var ok bool
		if ok, text = probe(); !ok {
			status = http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header()["Cache-Control"] = noStore
	w.Header()["Connection"] = closing
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// live is /livez: the process works, whatever else does, draining included.
func (o *ops) live() (bool, string) { return true, "ok\n" }

// startup is /startupz: every account has a published credential, so that an
// app that starts now meets a hit; or the time for that is up. Once it was true
// it stays so.
func (o *ops) startup() (bool, string) {
	if o.started.Load() {
		return true, "ok\n"
	}
	states := o.states()
	var waiting []string
	for _, s := range states {
		if !s.Published {
			waiting = append(waiting, s.AppID+": nothing published yet"+because(s.Err))
		}
	}
	switch {
	case time.Since(o.start) >= startPatience:
	case len(states) == 0:
		return false, noAccount
	case len(waiting) > 0:
		return false, listed(waiting)
	}
	o.started.Store(true)
	return true, "ok\n"
}

// ready is /readyz: every account has a valid token to give, published or not.
func (o *ops) ready() (bool, string) {
	states := o.states()
	if len(states) == 0 {
		return false, noAccount
	}
	var failing []string
	for _, s := range states {
		if !s.Valid {
			failing = append(failing, s.AppID+": no valid access_token"+because(s.Err))
		}
	}
	if len(failing) > 0 {
		return false, listed(failing)
	}
	return true, "ok\n"
}

// noAccount is no readiness: the folder is empty, or its mount is not there yet.
const noAccount = "no account: set WECHAT_APPID, or put files into WECHAT_ACCOUNTS_DIR\n"

// states are those of the access_tokens: no other kind counts for probes.
func (o *ops) states() []keeper.State {
	var tokens []keeper.State
	for _, s := range o.group.States() {
		if s.Kind == memcache.AccessToken {
			tokens = append(tokens, s)
		}
	}
	return tokens
}

// because tells why there is no credential. WeChat's errmsg names the egress
// address that it does not know, and the hint repeats it.
func because(e *keeper.Error) string {
	if e == nil {
		return ", and no renewal has ended yet"
	}
	text := fmt.Sprintf(", errcode %d: %s", e.Code, e.Message)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// listed is one line each, bounded in number.
func listed(lines []string) string {
	var text bytes.Buffer
	for _, line := range lines[:min(len(lines), maxFailures)] {
		text.WriteString(strings.Map(oneLine, line))
		text.WriteByte('\n')
	}
	if more := len(lines) - maxFailures; more > 0 {
		fmt.Fprintf(&text, "and %d more\n", more)
	}
	return text.String()
}

func oneLine(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}
