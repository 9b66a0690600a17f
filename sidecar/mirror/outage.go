package mirror

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// State is the state of one mirror.
type State struct {
	// Name is File or MySQL.
	Name string
	// Failing is the number of credentials whose last write failed; 0 if the mirror
	// works. It is at least 1 while the database cannot be reached.
	Failing int
	// Since is when the first of them failed. It is zero if none fails, like Error
	// and Hint.
	Since time.Time
	Error string
	Hint  hint.Hint
}

// Up reports whether no write fails.
func (s State) Up() bool { return s.Failing == 0 }

// wholeTarget is the key of a failure of the whole target: a database that cannot be
// reached.
var wholeTarget = credentialKey{}

// problem is how the writes under one key fail.
type problem struct {
	failures int // in a row
	since    time.Time
	key      credentialKey // the credential that failed last
	err      error
}

// outage is what fails of one target. The queue's mu guards it.
type outage struct {
	name    string
	failing map[credentialKey]problem
	logged  map[hint.Hint]bool // reasons that were logged; nil if none was
	began   time.Time
}

// failed notes a failure under where, of the credential key, and returns the number
// of failures in a row. It logs from the second one on, each reason once for all
// accounts.
func (o *outage) failed(where, key credentialKey, err error, log *slog.Logger) int {
	if where != wholeTarget {
		delete(o.failing, wholeTarget) // the target answered
	}
	p, ok := o.failing[where]
	if len(o.failing) == 0 {
		o.began = time.Now()
	}
	if !ok {
		p.since = time.Now()
	}
	p.failures++
	p.key, p.err = key, err
	o.failing[where] = p
	reason := hintOf(err)
	log.Debug("mirror write failed", "appid", key.appID, "kind", string(key.kind), "error", err.Error())
	if p.failures >= 2 && !o.logged[reason] {
		if o.logged == nil {
			o.logged = map[hint.Hint]bool{}
		}
		o.logged[reason] = true
		log.Warn("mirror failed, its readers keep the previous token", "appid", key.appID, "kind", string(key.kind),
			"error", err.Error(), "hint", reason)
	}
	return p.failures
}

// succeeded notes that a credential was written. It logs the end of a logged
// outage.
func (o *outage) succeeded(key credentialKey, log *slog.Logger) {
	delete(o.failing, key)
	delete(o.failing, wholeTarget)
	if len(o.failing) > 0 || o.logged == nil {
		return
	}
	o.logged = nil
	log.Info("mirror recovered", "seconds", int(time.Since(o.began).Seconds()))
}

// state returns the State for probes, metrics and people.
func (q *queue) state() State {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := State{Name: q.name, Failing: len(q.failing)}
	if s.Failing == 0 {
		return s
	}
	all := make([]problem, 0, len(q.failing))
	for _, p := range q.failing {
		all = append(all, p)
	}
	first := slices.MinFunc(all, func(a, b problem) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.key.appID, b.key.appID), cmp.Compare(a.key.kind, b.key.kind))
	})
	s.Since, s.Hint = first.since, hintOf(first.err)
	s.Error = fmt.Sprintf("%s of %s: %s", first.key.kind, first.key.appID, first.err)
	if _, ok := q.failing[wholeTarget]; ok {
		s.Failing = max(s.Failing, len(q.waiting))
	}
	if s.Failing > 1 {
		s.Error += fmt.Sprintf("; and %d more", s.Failing-1)
	}
	return s
}
