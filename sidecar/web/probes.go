package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

const (
	// startTimeout is how long /startupz waits for credentials. An outage elsewhere must
	// not stop a rollout.
	startTimeout = 10 * time.Second
	// startHold is how long /startupz holds a request before its 503: less than the 2 s
	// that the probes of the manifests wait. Most starts end within it, so they leave no
	// Warning event, and no probe comes a period later than needed.
	startHold = 1500 * time.Millisecond
	// startEvery is how often it tries meanwhile.
	startEvery = 25 * time.Millisecond
	// maxFailures is how many accounts, or notes, an answer names.
	maxFailures = 20
)

// probe answers 200 or 503 with a text. A foreign Host gets the status alone: a web page
// could read the rest.
func (o *ops) probe(ask func() (bool, string)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		ok, text := ask()
		if !ok {
			status = http.StatusServiceUnavailable
		}
		if !o.hosts.known(r) {
			text = ""
		}
		writeText(w, status, text)
	}
}

// live is /livez: the process works, whatever else fails; also while it drains.
func (o *ops) live() (bool, string) { return true, "ok\n" }

// isStarted reports whether /startupz was true once, or startTimeout has passed.
func (o *ops) isStarted() bool { return o.started.Load() || time.Since(o.start) >= startTimeout }

// serveStartup is /startupz.
func (o *ops) serveStartup(w http.ResponseWriter, r *http.Request) {
	o.holdStart(r.Context())
	if o.isStarted() {
		o.probe(o.live)(w, r)
		return
	}
	o.inTurn(o.probe(o.startup))(w, r)
}

// holdStart waits until the start has ended, for startHold at most. With many accounts it
// tries less often, so that it uses little of the processor that the start needs.
func (o *ops) holdStart(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, min(startHold, time.Until(o.start.Add(startTimeout))))
	defer cancel()
	for !o.isStarted() && ctx.Err() == nil {
		took := o.tryStart()
		if o.isStarted() {
			return
		}
		timer := time.NewTimer(max(startEvery, 20*took))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// tryStart finds out whether the start has ended, and returns how long that took. It does
// nothing while other answers hold the states of all accounts.
func (o *ops) tryStart() time.Duration {
	select {
	case o.large <- struct{}{}:
		defer func() { <-o.large }()
	default:
		return 0
	}
	begun := time.Now()
	_, _ = o.startup()
	return time.Since(begun)
}

// startup reports whether the start has ended: every account has a published credential,
// so that an app that starts now gets a hit, or has none to wait for. Once it was true,
// it stays so.
func (o *ops) startup() (bool, string) {
	down := o.memcached().Err != nil
	good := func(s *keeper.State) bool { return s.Published || s.Valid && down || o.isFutile(s) }
	found, lacking := missing(o.states(), good, "nothing published yet")
	switch {
	case !found:
		return false, noAccount
	case lacking != "":
		return false, lacking
	}
	o.started.Store(true)
	return true, "ok\n"
}

// isFutile reports whether to wait longer does not help: the renewal failed, and the next
// one comes after startTimeout.
func (o *ops) isFutile(s *keeper.State) bool {
	return s.Err != nil && s.NextAttempt().Sub(o.start) >= startTimeout
}

// ready is /readyz: every account has a valid token, published or not. It names a
// memcached and mirrors that fail, and has the notes. None changes the result.
func (o *ops) ready() (bool, string) {
	states := o.states()
	found, lacking := missing(states, isValid, "no valid access_token")
	switch {
	case !found:
		return false, noAccount + o.notes(states) // such as a file with a wrong name
	case lacking != "":
		return false, lacking + o.failingMemcached() + o.failingMirrors() + o.notes(states)
	}
	return true, "ok\n" + o.failingMemcached() + o.failingMirrors() + o.notes(states)
}

// failingMemcached returns a line if memcached fails: apps then get every token from
// their sidecars.
func (o *ops) failingMemcached() string {
	outage := o.memcached()
	if outage.Err == nil {
		return ""
	}
	return status.Printable(fmt.Sprintf("memcached %s has failed for %s: %s; %s",
		outage.Server, status.Span(o.now().Sub(outage.Since)), outage.Err, hint.Memcached(outage.Err))) + "\n"
}

// failingMirrors returns a line for each mirror that fails.
func (o *ops) failingMirrors() string {
	var text strings.Builder
	for _, m := range o.mirrors() {
		if !m.Up() {
			text.WriteString(status.Printable(fmt.Sprintf("mirror %s has failed for %s: %s; %s", m.Name, status.Span(o.now().Sub(m.Since)), m.Error, m.Hint)) + "\n")
		}
	}
	return text.String()
}

// notes returns a line for each note, 20 at most: a wrong mode can make each AppSecret
// unreadable.
func (o *ops) notes(states []keeper.State) string {
	var text strings.Builder
	all := o.allNotes(states)
	for _, n := range all[:min(len(all), maxFailures)] {
		text.WriteString(status.Printable(fmt.Sprintf("note: %s; %s", n.Text, n.Hint)) + "\n")
	}
	if more := len(all) - maxFailures; more > 0 {
		fmt.Fprintf(&text, "and %d more notes; /status.json has them\n", more)
	}
	return text.String()
}

// isReady reports whether there is an account, and each has a valid token.
func isReady(states []keeper.State) bool {
	found, lacking := missing(states, isValid, "")
	return found && lacking == ""
}

func isValid(s *keeper.State) bool { return s.Valid }

// noAccount is the answer if the folder is empty, or not mounted yet.
const noAccount = "no accounts configured; set WECHAT_APPID, or put files into WECHAT_ACCOUNTS_DIR\n"

// missing returns a line for each access_token that is not good, 20 at most, and what
// is missing. A last line counts the others, so that a start with thousands shows its
// progress. Tickets do not count for probes. found reports whether there is any
// access_token.
func missing(states []keeper.State, good func(*keeper.State) bool, what string) (found bool, list string) {
	var text strings.Builder
	all, bad := 0, 0
	for i := range states {
		s := &states[i]
		if s.Kind != memcache.AccessToken {
			continue
		}
		all++
		if good(s) {
			continue
		}
		if bad++; bad <= maxFailures {
			text.WriteString(status.Printable(s.AppID+": "+what+because(s.Err)) + "\n")
		}
	}
	if bad > maxFailures {
		fmt.Fprintf(&text, "and %d more; %[3]d of %[2]d accounts are ready\n", bad-maxFailures, all, all-bad)
	}
	return all > 0, text.String()
}

// because says why there is no credential.
func because(e *keeper.Error) string {
	if e == nil {
		return ", no renewal has ended yet"
	}
	text := fmt.Sprintf(", errcode %d: %s", e.Code, e.Message)
	if e.Hint != (hint.Hint{}) {
		text += "; " + e.Hint.String()
	}
	return text
}
