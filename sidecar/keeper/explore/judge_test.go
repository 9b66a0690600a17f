package explore

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	// onePoll is the longest time from one poll to the next, and a second for memcached's
	// clock.
	onePoll = 16 * time.Second
	// horizon is the longest time that a run takes to settle.
	horizon = 20 * time.Minute
)

// judge checks what the keeper promises.
type judge struct {
	w          *world
	broken     []string
	excused    bool // by rule 9 of the claim, from now on
	excusedAny bool // something was
	faults     []string
	stops      int // that lasted longer than a lease
	timeouts   int // answers that came too late for a sidecar that was stopped for a shorter time than a lease
	requests   []time.Time
	outside    int  // external fetches
	lost       bool // WeChat issued a token, and no sidecar got it
	forgot     bool // memcached, or a process, lost what it knew

	sure     map[string]time.Time // by token: until when it is promised
	doubtful map[string]time.Time // the same, by a sidecar that knew of a doubt
	missing  time.Time            // since when the entry has no valid token
	newest   int                  // the newest token that the entry ever had
	backward time.Time            // since when the entry has an older one
	invalid  map[string]time.Time // since when the token that is given there is invalid
	reported map[string]time.Time
	open     map[*sidecar]sentRequest
}

// sentRequest is a request to WeChat whose token is not written yet.
type sentRequest struct {
	claim string
}

func newJudge(w *world) *judge {
	return &judge{
		w: w, sure: map[string]time.Time{}, doubtful: map[string]time.Time{}, invalid: map[string]time.Time{}, reported: map[string]time.Time{},
		open: map[*sidecar]sentRequest{},
	}
}

func (j *judge) breaks(invariant, format string, args ...any) {
	text := invariant + ": " + fmt.Sprintf(format, args...)
	if j.excused {
		j.excusedAny = true
		return
	}
	if len(j.broken) == 0 {
		j.w.note("", "BROKEN %s", text)
	}
	j.broken = append(j.broken, text)
}

// state returns what of it decides what is found later, for the hash of a state.
func (j *judge) state() string {
	return fmt.Sprint(len(j.broken) > 0, j.excused, len(j.faults) > 0, j.stops, j.timeouts, j.outside, j.newest, len(j.requests), len(j.reported), j.lost)
}

func (j *judge) fault(name string) {
	j.faults = append(j.faults, name)
	now := time.Now() // the repair takes as long from now on
	if !j.missing.IsZero() {
		j.missing = now
	}
	if !j.backward.IsZero() {
		j.backward = now
	}
	j.forgot = j.forgot || strings.HasPrefix(name, "memcached ")
}
func (j *judge) resumed()  { j.stops++ }
func (j *judge) external() { j.outside++ }

// timedOut notes an answer that arrives after the sidecar's time-out: it is lost. The
// sidecar asks once more, and one asks for the doubt of its mark. stops allows for both if
// the sidecar was stopped for longer than a lease.
func (j *judge) timedOut(o *op) {
	if !o.isCheck() {
		j.lost = true
	}
	if o.life.of.lastStop <= memcache.LeaseUse {
		j.timeouts++
	}
}

// stays notes that a sidecar is stopped for longer than a lease. What it has fetched and
// not written is lost for the others.
func (j *judge) stays(s *sidecar) {
	if _, ok := j.open[s]; ok {
		j.lost = true
	}
}

// sent notes a request that arrives at WeChat.
func (j *judge) sent(o *op) {
	now := time.Now()
	j.requests = append(j.requests, now)
	r := j.w.record()
	open := sentRequest{}
	if r != nil {
		open.claim = r.Claim
	}
	// Rule 9: the request left later than the claim's time.
	if j.w.api == "token" && o.life != nil {
		if at, ok := j.w.claims[o.life.of]; ok && now.Sub(at) > 75*time.Second {
			j.excused = true
		}
	}
	j.open[o.life.of] = open
	recent := slices.DeleteFunc(slices.Clone(j.requests), func(at time.Time) bool { return now.Sub(at) > 10*time.Minute })
	if len(recent) > 12 {
		j.breaks("Bounded", "%d requests in ten minutes", len(recent))
	}
}

// written notes a record that a sidecar wrote.
func (j *judge) written(s *sidecar, r *memcache.Record) {
	if r.Claim != "" {
		j.w.claims[s] = time.Now()
	}
	if open, ok := j.open[s]; ok && r.Claim != open.claim { // its success, or its mark
		delete(j.open, s)
	}
}

// killed notes that a sidecar is killed. Rule 9 excuses one that has sent a request and
// whose claim is gone.
func (j *judge) killed(s *sidecar) {
	j.forgot = true
	open, ok := j.open[s]
	if !ok {
		return
	}
	j.lost = true
	if r := j.w.record(); r == nil || r.Claim != open.claim {
		j.excused = true
	}
}

// view is what a sidecar would give an app.
type view struct {
	valid    bool // there is a token, and the sidecar runs
	doubtful bool
	token    string
	promise  time.Duration
}

// observe returns what each sidecar would give.
func (w *world) observe() {
	for i, s := range w.sidecars {
		w.views[i] = view{}
		if !s.runs() {
			continue
		}
		if state := s.life.group.States()[0]; state.Valid {
			w.views[i] = view{true, state.InDoubt, w.names.tokenOf(state.Fingerprint), state.Promise}
		}
	}
}

// check checks the state.
func (j *judge) check() {
	now := time.Now()
	j.w.observe()
	w := j.w
	entry := w.entry()
	j.checkEntry(entry, now)
	for i, s := range w.sidecars {
		v := w.views[i]
		if !v.valid || now.Sub(s.polled) > 30*time.Second { // it polls before it answers an app
			delete(j.invalid, s.name)
			continue
		}
		j.checkToken(s.name, v.token, now)
		// A sidecar that has just started must believe its clock.
		promised := j.sure
		if v.doubtful {
			promised = j.doubtful
		}
		if until := now.Add(v.promise + min(0, s.skew)); v.promise > time.Second && until.After(promised[v.token]) { // it is never less
			promised[v.token] = until
		}
	}
	if j.outside > 0 {
		return
	}
	several := 0
	for _, worse := range []bool{j.twice(), j.paused() > 0, j.forgot} {
		if worse {
			several++
		}
	}
	if several < 2 {
		j.checkPromises(j.doubtful, now)
	}
	if !j.lost && !j.twice() && (j.paused() == 0 || len(j.faults) == 0) {
		j.checkPromises(j.sure, now)
	}
}

func (j *judge) checkPromises(promised map[string]time.Time, now time.Time) {
	for token, until := range promised {
		if _, reported := j.reported[token]; reported {
			continue
		}
		if now.Before(until) && j.w.wechat.Accepts(token) != 0 {
			j.breaks("Promise", "%s was promised for %s more", j.w.names.of(token), until.Sub(now))
			delete(promised, token)
		}
	}
}

// twice reports whether a fault made the fleet renew twice within WeChat's grace. That
// ends the grace of the token before both, and what was promised before the fault.
func (j *judge) twice() bool {
	n := len(j.requests)
	return n > 1 && j.troubles() > 0 && j.requests[n-1].Sub(j.requests[n-2]) < 5*time.Minute
}

// paused returns how many stops there were, those under way included.
func (j *judge) paused() int {
	n := j.stops
	for _, s := range j.w.sidecars {
		if !s.stopped.IsZero() {
			n++
		}
	}
	return n
}

// troubles returns how many faults and stops there were.
func (j *judge) troubles() int { return j.paused() + len(j.faults) }

// lenient reports whether something happened after which a token can be invalid.
func (j *judge) lenient() bool { return j.outside > 0 || j.lost }

func (j *judge) checkEntry(entry string, now time.Time) {
	w := j.w
	if entry == "" || w.names.of(entry) == "" {
		if j.missing.IsZero() {
			j.missing = now
		}
	} else {
		j.missing = time.Time{}
		if !slices.ContainsFunc(w.sidecars, (*sidecar).runs) {
			delete(j.invalid, "the entry") // no sidecar can write it
		} else if now.After(w.healed.Add(onePoll)) { // otherwise perhaps no sidecar can write it
			j.checkToken("the entry", entry, now)
		}
	}
	n := w.names.number(entry)
	r := w.record()
	if n >= j.newest || (r != nil && r.Doubt != 0) { // in doubt: it is unknown which is newer
		j.newest, j.backward = max(n, j.newest), time.Time{}
	} else if n > 0 && j.backward.IsZero() {
		j.backward = now
	}
	if !slices.ContainsFunc(w.views, func(v view) bool { return v.valid && w.names.number(v.token) > n }) {
		j.backward = time.Time{} // the holder of a newer one is stopped or killed
	}
	someRun := slices.ContainsFunc(w.views, func(v view) bool { return v.valid })
	if !someRun || now.Before(w.healed.Add(onePoll)) {
		if !j.missing.IsZero() {
			j.missing = now
		}
		if !j.backward.IsZero() {
			j.backward = now
		}
		return
	}
	if !j.backward.IsZero() && now.Sub(j.backward) > onePoll && j.outside == 0 {
		j.breaks("Never backwards", "the entry has had an older token for %s", now.Sub(j.backward))
		j.backward = now
	}
	allowed := 2 * onePoll
	if j.troubles() > 1 { // each sidecar that could write it is stopped, or must wait
		allowed = 9 * time.Minute
	}
	if !j.missing.IsZero() && now.Sub(j.missing) > allowed {
		j.breaks("Never nothing", "the entry has been missing for %s", now.Sub(j.missing))
		j.missing = now
	}
}

// checkToken checks a token that an app is given.
func (j *judge) checkToken(where, token string, now time.Time) {
	if j.w.wechat.Accepts(token) == 0 {
		delete(j.invalid, where)
		return
	}
	since, ok := j.invalid[where]
	if !ok {
		j.invalid[where], since = now, now
	}
	allowed := time.Duration(0)
	switch {
	case j.lenient() && (j.troubles() > 1 || (len(j.w.sidecars) > 2 && !j.w.healed.IsZero())):
		// Those who can renew are stopped or must wait. Or no sidecar can write, and each
		// sidecar heals at a report of its own: 31 s apart.
		allowed = 9 * time.Minute
	case j.lenient() && j.timeouts > 0 && !j.w.healed.IsZero(): // the same, and one report brings nothing
		allowed = 2 * time.Minute
	case j.lenient():
		allowed = time.Minute
	case j.twice(), j.paused() > 0 && j.troubles() > 1: // until each has polled
		allowed = onePoll
	}
	if now.Sub(since) > allowed || allowed == 0 {
		j.breaks("Never invalid", "%s still has %s, which WeChat refuses since %s", where, j.w.names.of(token), now.Sub(since))
		j.invalid[where] = now
	}
}

// reports returns the token that a sidecar gives, if it is invalid: an app then reports
// it, if none has just done so.
func (j *judge) reports(i int, now time.Time) (token string, yes bool) {
	v := j.w.views[i]
	if !v.valid || j.w.wechat.Accepts(v.token) == 0 || now.Sub(j.reported[v.token]) < 31*time.Second {
		return "", false
	}
	j.reported[v.token] = now
	return v.token, true
}

// settled reports whether all agree on a valid token, and nothing is left to do.
func (j *judge) settled() bool {
	w := j.w
	entry, r := w.entry(), w.record()
	if r == nil || r.Token == "" || r.Token != entry || r.Doubt != 0 || r.Claim != "" || w.wechat.Accepts(entry) != 0 {
		return false
	}
	if w.api == keeper.UpstreamAPI { // it is asked all the time, under the lease
		if entry != w.standalone.token {
			return false
		}
	} else if _, held := w.memcached.Peek(leaseKey); held {
		return false
	}
	return !slices.ContainsFunc(w.views, func(v view) bool { return v.token != entry })
}

// last checks the state in which a run ends.
func (j *judge) last() {
	w := j.w
	r := w.record()
	if !j.settled() {
		j.breaks("Settles", "not after %s", horizon)
		return
	}
	newest := wechattest.Issue{}
	for _, i := range w.wechat.Issued() {
		if i.API == r.API || r.API == string(keeper.UpstreamAPI) {
			newest = i
		}
	}
	if w.entry() != newest.Token && !newest.External {
		j.breaks("Last token issued", "the record ends with %s, and WeChat issued %s last", w.names.of(w.entry()), w.names.of(newest.Token))
	}
	if len(j.faults) == 0 && j.stops+j.timeouts == 0 && w.valid && len(j.requests) > 0 {
		j.breaks("One request", "%d requests, although WeChat accepts the token", len(j.requests))
	}
	if len(j.faults) == 0 && j.outside == 0 && len(j.requests) > 1+3*j.stops+2*j.timeouts { // another sidecar's, that for the doubt of its claim, that for its mark; the own one, that for its mark
		j.breaks("One request", "%d requests", len(j.requests))
	}
}
