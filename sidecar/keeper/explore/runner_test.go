package explore

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// patience is how long an until waits. The tokens of the starts are due before that.
const patience = 2 * time.Hour

// runner runs a script in a world.
type runner struct {
	*world
	found map[*op]bool // by an until
	at    *op          // the last one
}

// expectations are what a script can expect, each as it names the value.
var expectations = map[string]func(r *runner) string{
	"entry":     func(r *runner) string { return r.tokenNamed(r.entry()) },
	"requests":  func(r *runner) string { return fmt.Sprint(len(r.judge.requests)) },
	"published": func(r *runner) string { return r.published() },
	"record": func(r *runner) string {
		if record := r.record(); record != nil {
			return r.tokenNamed(record.Token)
		}
		return "none"
	},
	"doubt": func(r *runner) string {
		if record := r.record(); record != nil && record.Doubt != 0 {
			return "yes"
		}
		return "no"
	},
	"lease": func(r *runner) string {
		item, held := r.memcached.Peek(leaseKey)
		holder, _, found := strings.Cut(r.names.plain(nil, item.Value), ".")
		switch {
		case !held:
			return "none"
		case !found:
			return "cooldown"
		}
		return holder
	},
}

// published returns which sidecars know that the entry has their token.
func (r *runner) published() string {
	var names []string
	for _, s := range r.sidecars {
		if s.life != nil && s.life.group.States()[0].Published {
			names = append(names, s.name)
		}
	}
	return strings.Join(names, " ")
}

func (r *runner) tokenNamed(token string) string {
	if token == "" {
		return "none"
	}
	return r.names.of(token)
}

// run runs the script and returns what happened, for people.
func (s *script) run(t *testing.T) (printed string, err error) {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(*testing.T) {
		r := &runner{world: newWorldWith(s.start, &story{out: &out}), found: map[*op]bool{}}
		defer r.end()
		err = s.do(r)
	})
	return out.String(), err
}

func (s *script) do(r *runner) error {
	for _, l := range s.lines {
		err := l.do(r)
		if broken := strings.Join(r.judge.broken, "; "); broken != "" {
			if s.broken != "" && strings.Contains(broken, s.broken) {
				return nil
			}
			err = fmt.Errorf("broken: %s", broken)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %s: %w", s.file, l.number, l.text, err)
		}
	}
	if s.broken != "" {
		return fmt.Errorf("%s: %q was expected to be broken, and all is kept", s.file, s.broken)
	}
	return nil
}

// goOn runs as usual until the end, or until one of two functions reports true: found is
// asked before each operation, idle when none can happen. It reports whether one did.
func (r *runner) goOn(end time.Time, found, idle func() bool) bool {
	wake := time.AfterFunc(time.Until(end), func() {
		select {
		case r.arrived <- struct{}{}:
		default:
		}
	})
	defer wake.Stop()
	for range maxTurns {
		synctest.Wait()
		r.staysStopped(time.Now())
		r.judge.check()
		if len(r.judge.broken) > 0 {
			return true
		}
		if found() {
			return true
		}
		next := r.next()
		switch {
		case next != nil:
			r.release(next)
		case idle():
			return true
		case !time.Now().Before(end):
			return false
		default:
			r.idle()
		}
	}
	r.judge.breaks("Ends", "not after %d turns", maxTurns)
	return true
}

func never() bool { return false }

// next returns the operation that usually comes next, nil if none can happen.
func (r *runner) next() (next *op) {
	for _, o := range r.waiting() {
		if !o.life.of.stopped.IsZero() {
			continue
		}
		if o.life.of == r.last {
			return o
		}
		if next == nil {
			next = o
		}
	}
	return next
}

// until runs until a sidecar is about to do an operation.
func (r *runner) until(s *sidecar, operation string) error {
	if !s.stopped.IsZero() {
		return fmt.Errorf("%s is stopped: resume it first", s.name)
	}
	var others []string
	found := func() bool {
		for _, o := range r.waiting() {
			switch name := nameOf(o); {
			case o.life.of != s || r.found[o]:
			case name == operation:
				r.at, r.found[o] = o, true
				return true
			default:
				others = append(others, name)
			}
		}
		return false
	}
	if !r.goOn(time.Now().Add(patience), found, never) {
		slices.Sort(others)
		return fmt.Errorf("%s does not do that within %s; what it does: %s", s.name, patience, strings.Join(slices.Compact(others), ", "))
	}
	return nil
}

// nameOf returns what a script calls an operation.
func nameOf(o *op) string {
	words := []string{o.verb}
	switch o.verb {
	case "request", "answer":
		return o.verb
	case "gets", "get":
		words[0] = "reads"
	}
	for _, key := range fields(o.key) {
		name, _, _ := strings.Cut(short(key), ":") // budget:0, requests:20000101
		words = append(words, name)
	}
	return strings.Join(words, " ")
}

// expect compares one of the expectations.
func (r *runner) expect(name, want string) error {
	if got := expectations[name](r); got != want {
		return fmt.Errorf("%s is %s", name, got)
	}
	return nil
}

func (r *runner) stopIt(s *sidecar) error {
	if !s.runs() {
		return fmt.Errorf("%s does not run", s.name)
	}
	r.stop(s)
	return nil
}

func (r *runner) resumeIt(s *sidecar) error {
	if s.stopped.IsZero() {
		return fmt.Errorf("%s is not stopped", s.name)
	}
	r.resume(s)
	return nil
}

// staysStopped notes for the judge who is stopped for longer than a lease by then.
func (r *runner) staysStopped(then time.Time) {
	for _, s := range r.sidecars {
		if !s.stopped.IsZero() && s.phase == 0 && then.Sub(s.stopped) >= phases[0] {
			r.judge.stays(s)
			s.phase = 1
		}
	}
}

func (r *runner) letPass(d time.Duration) error {
	end := time.Now().Add(d)
	r.staysStopped(end)
	r.goOn(end, never, never)
	return nil
}

func (r *runner) settle() error {
	var quiet time.Time
	r.goOn(time.Now().Add(horizon), never, func() bool { return r.settled(&quiet) })
	if len(r.judge.broken) == 0 {
		r.judge.last()
	}
	return nil
}

// fault has a fault happen at an operation that waits.
func (r *runner) fault(name string) error {
	waiting := r.waiting()
	slices.SortStableFunc(waiting, func(a, b *op) int {
		switch r.at {
		case a:
			return -1
		case b:
			return 1
		}
		return 0
	})
	var possible []string
	for _, o := range waiting {
		for _, f := range r.faults(o) {
			if f.name == name {
				f.do()
				return nil
			}
			possible = append(possible, f.name)
		}
	}
	slices.Sort(possible)
	return fmt.Errorf("no such step: %s; no such fault here: %s", usage, strings.Join(slices.Compact(possible), ", "))
}
