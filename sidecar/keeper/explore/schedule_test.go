package explore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// bound is how many preemptions and faults a schedule may have.
type bound struct{ preemptions, faults int }

func (b bound) String() string { return fmt.Sprintf("(%d, %d)", b.preemptions, b.faults) }

// minus returns what is left after a choice of this cost, and whether there is enough.
func (b bound) minus(cost bound) (bound, bool) {
	left := bound{b.preemptions - cost.preemptions, b.faults - cost.faults}
	return left, left.preemptions >= 0 && left.faults >= 0
}

// within returns every bound within b, the smaller ones first.
func (b bound) within() (all []bound) {
	for total := range b.preemptions + b.faults + 1 {
		for faults := range min(b.faults, total) + 1 {
			if preemptions := total - faults; preemptions <= b.preemptions {
				all = append(all, bound{preemptions, faults})
			}
		}
	}
	return all
}

// pick is a choice other than the usual one, at one of the steps of a run.
type pick struct{ step, choice uint16 }

// schedule is all such choices of a run, in their order. At every other step the first
// choice is taken.
type schedule []pick

func (s schedule) String() string {
	words := make([]string, len(s))
	for i, p := range s {
		words[i] = fmt.Sprintf("%d.%d", p.step, p.choice)
	}
	return strings.Join(words, ",")
}

func parseSchedule(text string) (s schedule, err error) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		before, after, _ := strings.Cut(word, ".")
		step, err1 := strconv.ParseUint(before, 10, 16)
		choice, err2 := strconv.ParseUint(after, 10, 16)
		if err = errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("schedule %q: %w", text, err)
		}
		s = append(s, pick{uint16(step), uint16(choice)})
	}
	return s, nil
}

// choice is one way to continue.
type choice struct {
	name string
	cost bound
	do   func()
}

// phases are how long a sidecar can be stopped: longer than a lease, than the doubt of a
// claim, and than WeChat's grace.
var phases = []time.Duration{15500 * time.Millisecond, 76 * time.Second, 301 * time.Second}

// choices returns the ways to continue; the first one is the usual one. There are none if
// nothing waits, or if only time can go on.
func (w *world) choices(waiting []*op) []choice {
	var ready []*op
	for _, o := range waiting {
		if o.life.of.stopped.IsZero() {
			ready = append(ready, o)
		}
	}
	if len(ready) == 0 {
		return w.resumptions()
	}
	next := ready[0]
	for _, o := range ready {
		if o.life.of == w.last {
			next = o
			break
		}
	}
	all := []choice{{name: "go on", do: func() { w.release(next) }}}
	if w.isRepeated(next) {
		return all
	}
	if !next.firm {
		all = append(all, w.preemptions(next, ready)...)
	}
	for _, f := range w.faults(next) {
		f.cost = bound{faults: 1}
		all = append(all, f)
	}
	return all
}

// isRepeated reports whether an operation reads once more what its sidecar has read some
// times in a row.
func (w *world) isRepeated(o *op) bool {
	r := o.life.of.reads[o.key]
	return (o.verb == "gets" || o.verb == "get") && r != nil && r.times >= enough && r.result == w.reads(o)
}

// preemptions returns the choices in which another operation than next comes first.
func (w *world) preemptions(next *op, ready []*op) (all []choice) {
	s := next.life.of
	for _, o := range ready {
		cost := bound{preemptions: 1}
		switch {
		case o == next:
			continue
		case s != w.last:
			cost = bound{} // the last one waits anyhow
		case o.life.of != s:
			continue // as a stop of s that ends at once
		}
		all = append(all, choice{fmt.Sprintf("first %s: %s", o.life.of.name, o.verb), cost, func() { w.release(o) }})
	}
	all = append(all, choice{"stop " + s.name, bound{preemptions: 1}, func() { w.stop(s) }})
	for _, other := range w.sidecars {
		if other.life != nil && !other.stopped.IsZero() {
			all = append(all, choice{"resume " + other.name, bound{preemptions: 1}, func() { w.resume(other) }})
		}
	}
	return all
}

// resumptions returns the choices while only stopped sidecars have something to do: one
// of them goes on, or stays stopped until the next phase.
func (w *world) resumptions() (all []choice) {
	for _, s := range w.sidecars {
		if s.life == nil || s.stopped.IsZero() {
			continue
		}
		if s.phase > 0 && time.Since(s.stopped) < phases[s.phase-1] {
			return nil // its phase has begun, and is not over
		}
		all = append(all, choice{"resume " + s.name, bound{}, func() { w.resume(s) }})
		if s.phase < len(phases) {
			all = append(all, choice{fmt.Sprintf("%s stays stopped for %s", s.name, phases[s.phase]), bound{}, func() { w.judge.stays(s); s.phase++ }})
		}
	}
	return all
}

func (w *world) stop(s *sidecar) {
	s.stopped, s.phase = time.Now(), 0
	w.note(s.name, "is stopped")
}

func (w *world) resume(s *sidecar) {
	w.note(s.name, "goes on after %s", time.Since(s.stopped))
	s.lastStop = time.Since(s.stopped)
	if s.lastStop > memcache.LeaseUse {
		w.judge.resumed()
	}
	s.stopped, s.phase = time.Time{}, 0
	w.last = s
}

// Faults that last.
const (
	noRoute      = "no route to WeChat"
	offWhitelist = "40164"
	busy         = "-1"
	unanswered   = "never answered"
	late         = "arrives 50 s later"
)

// faults returns what can fail at an operation.
func (w *world) faults(o *op) (all []choice) {
	add := func(name string, do func()) {
		all = append(all, choice{name: name, do: func() {
			w.note("", "%s", name)
			w.judge.fault(name)
			do()
		}})
	}
	s := o.life.of
	lose := func() {
		o.lost = true
		w.judge.lost = w.judge.lost || (o.verb == "answer" && !o.isCheck() && !o.isAsk())
		w.release(o)
	}
	if o.isAsk() && o.verb == "request" {
		w.askFaults(o, add)
		return all
	}
	switch o.verb {
	case "request":
		if !o.isCheck() { // a lost answer to a check is lost as any answer
			add("WeChat's answer to "+s.name+" is lost", func() { o.fails = unanswered; w.release(o) })
			add("the request of "+s.name+" arrives late", func() { o.fails = late; w.release(o) })
		}
		add("WeChat is busy", func() { o.fails = busy; w.release(o) })
		add(s.name+" has no route to WeChat", func() { s.unable, s.until = noRoute, time.Now().Add(10*time.Minute); w.release(o) })
		add(s.name+" is off the whitelist", func() { s.unable, s.until = offWhitelist, time.Now().Add(10*time.Minute); w.release(o) })
		add("external fetch", func() { w.fetchExternally(false) })
		add(s.name+" is killed", func() { w.kill(s) })
		return all
	case "answer":
		add("WeChat's answer to "+s.name+" is lost", lose)
		add("external fetch", func() { w.fetchExternally(false) })
		add(s.name+" is killed", func() { w.kill(s) })
		return all
	}
	if o.firm {
		add("the answer to cas is lost", lose)
		return all
	}
	for _, key := range fields(o.key) {
		if _, ok := w.memcached.Peek(key); ok && o.verb != "incr" {
			add("memcached evicts "+short(key), func() { w.memcached.Evict(key); w.changed(key) })
		}
	}
	switch o.verb {
	case "add":
		add("the answer to add is lost", lose)
		add("memcached refuses add", func() { w.refuse("add") })
	case "incr":
		add("memcached refuses incr", func() { w.refuse("incr") })
	case "gets", "get":
		if !hasSpace(o.key) {
			add("memcached refuses cas", func() { w.refuse("cas") })
		} else {
			add("external fetch, written to the entry", func() { w.fetchExternally(true) })
		}
	}
	if len(w.memcached.Keys()) > 0 {
		add("memcached is emptied", func() { w.memcached.Flush(); w.changed(w.memcached.Keys()...); w.epoch++ })
		add("memcached restarts", func() { w.memcached.Restart(); w.epoch++ })
	}
	add(s.name+" is killed", func() { w.kill(s) })
	return all
}

func (w *world) changed(keys ...string) {
	for _, key := range keys {
		w.versions[key]++
	}
}

func (w *world) refuse(verb string) {
	w.refusing, w.healed = verb, time.Now().Add(2*time.Minute)
}

// kill kills a sidecar. Kubernetes starts it again.
func (w *world) kill(s *sidecar) {
	w.judge.killed(s)
	s.kill()
	synctest.Wait()
	w.after(5*time.Second, func() {
		w.note(s.name, "starts again")
		s.start()
	})
}

// fetchExternally has another program fetch a token. It can write it to the entry, as many do.
func (w *world) fetchExternally(written bool) {
	token := w.wechat.FetchExternally(appID)
	w.names.token(token)
	w.note("", "WeChat issues %s to another program", w.names.of(token))
	w.judge.external()
	if written {
		w.memcached.Put(entryKey, token, 0, 3600)
		w.versions[entryKey]++
	}
}

// report has an app report a token to its sidecar.
func (w *world) report(s *sidecar, token string) {
	l := s.life
	if l == nil {
		return
	}
	w.note("", "an app reports %s to %s", w.names.of(token), s.name)
	l.done.Go(func() {
		ctx, cancel := timeout(12 * time.Second)
		defer cancel()
		s.reporting.Add(1)
		defer s.reporting.Add(-1)
		_, _ = l.group.Refresh(ctx, appID, memcache.AccessToken, token)
	})
}
