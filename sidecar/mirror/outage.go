package mirror

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// State is how one mirror is doing.
type State struct {
	// Name is File or MySQL.
	Name string
	// Failing is how many credentials could not be written when last tried; 0 where
	// the mirror works. Where the database cannot be reached it is 1 at least.
	Failing int
	// Since is when the first of them failed, Error how, Hint what to do about it;
	// zero where none does.
	Since time.Time
	Error string
	Hint  hint.Hint
}

// Up reports whether all is written as it should be.
func (s State) Up() bool { return s.Failing == 0 }

// everything stands for the whole target: a database that cannot be reached.
var everything = place{}

// trouble is how writing to one place fails.
type trouble struct {
	failures int // in a row
	since    time.Time
	at       place // the credential that met it
	err      error
}

// outage is what fails of one target. The queue's mu guards it.
type outage struct {
	name    string
	failing map[place]trouble
	told    map[hint.Hint]bool // reasons that were logged; nil: the outage was not
	began   time.Time
}

// failed notes a failure and returns how many there were in a row. It logs the
// second one: each reason once, whatever the number of accounts.
func (o *outage) failed(where, at place, err error, log *slog.Logger) int {
	if where != everything {
		delete(o.failing, everything) // it answered
	}
	t, ok := o.failing[where]
	if len(o.failing) == 0 {
		o.began = time.Now()
	}
	if !ok {
		t.since = time.Now()
	}
	t.failures++
	t.at, t.err = at, err
	o.failing[where] = t
	reason := hintOf(err)
	log.Debug("writing to a mirror failed", "appid", at.appID, "kind", string(at.kind), "error", err.Error())
	if t.failures >= 2 && !o.told[reason] {
		if o.told == nil {
			o.told = map[hint.Hint]bool{}
		}
		o.told[reason] = true
		log.Warn("a mirror fails: programs that read it go on with what it holds", "appid", at.appID, "kind", string(at.kind),
			"error", err.Error(), "hint", reason)
	}
	return t.failures
}

// worked notes that a credential was written.
func (o *outage) worked(at place, log *slog.Logger) {
	delete(o.failing, at)
	delete(o.failing, everything)
	o.ended(log)
}

// forgotten says nothing of an outage of which nothing is left but that its
// accounts went.
func (o *outage) forgotten() {
	if len(o.failing) == 0 {
		o.told = nil
	}
}

// ended logs that nothing fails any more, where it was logged that something did.
func (o *outage) ended(log *slog.Logger) {
	if len(o.failing) > 0 || o.told == nil {
		return
	}
	o.told = nil
	log.Info("a mirror works again", "seconds", int(time.Since(o.began).Seconds()))
}

// state is what probes, metrics and people see.
func (q *queue) state() State {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := State{Name: q.name, Failing: len(q.failing)}
	if s.Failing == 0 {
		return s
	}
	all := make([]trouble, 0, len(q.failing))
	for _, t := range q.failing {
		all = append(all, t)
	}
	first := slices.MinFunc(all, func(a, b trouble) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.at.appID, b.at.appID), cmp.Compare(a.at.kind, b.at.kind))
	})
	s.Since, s.Hint = first.since, hintOf(first.err)
	s.Error = fmt.Sprintf("%s of %s: %s", first.at.kind, first.at.appID, first.err)
	if _, ok := q.failing[everything]; ok {
		s.Failing = max(s.Failing, len(q.waiting))
	}
	if s.Failing > 1 {
		s.Error += fmt.Sprintf("; and %d more", s.Failing-1)
	}
	return s
}
