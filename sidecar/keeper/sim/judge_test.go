package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// trouble is a kind of fault. What is forgiven while one lasts is not forgiven
// while another does.
type trouble string

const (
	memcachedTrouble trouble = "memcached"
	wechatTrouble    trouble = "wechat"
	podTrouble       trouble = "pod" // stopped, killed, restarted, cut off
	externalTrouble  trouble = "external"
	clockTrouble     trouble = "clock"   // the clocks of two sidecars are further apart than 5 s
	verbTrouble      trouble = "verb"    // memcached refuses some commands that write, and answers reads
	onePodTrouble    trouble = "one pod" // one or two pods cannot reach WeChat, the others can
	numberTrouble    trouble = "number"  // a sidecar that was paused holds the only record, under a number that is ahead
)

// allBut returns all troubles but this one.
func allBut(one trouble) []trouble {
	return slices.DeleteFunc([]trouble{
		memcachedTrouble, wechatTrouble, podTrouble, externalTrouble, clockTrouble, verbTrouble, onePodTrouble, numberTrouble,
	}, func(t trouble) bool { return t == one })
}

const (
	// claimTime is how long before its request a sidecar may have claimed.
	claimTime = 5 * time.Second
	// directApart is the least time between two requests of one sidecar to
	// stable_token while memcached fails, less a second.
	directApart = 29 * time.Second
)

// span is when a trouble lasted.
type span struct {
	what     trouble
	from, to time.Time // to is zero while it lasts
}

// judge watches the simulation and holds it to the six invariants.
type judge struct {
	world *world
	muted bool // it counts, and judges nothing
	mild  bool // it judges, and fails no test

	mu       sync.Mutex // guards what follows
	arrived  map[string]time.Time
	lost     map[string]bool // issued, and its answer never reached a sidecar that lived to write it
	spans    []span
	requests []counted // made while memcached held
	refusing time.Time // since when memcached refuses cas, so that no sidecar can claim; zero: it does not
	before   map[*pod]recordBefore
	reports  []time.Time
	reported map[string]bool // the tokens that were reported, true or not
	faults   []string
	ongoing  int // requests to WeChat
	// leaseTaken is when a fault last took away the lease alone.
	leaseTaken time.Time
	newest     map[string]int // by API, the highest sequence number seen in the entry
	backSince  time.Time
	reads      int
	invalid    int
	crossed    int // of these, within a second after a new token was issued
	failures   int
	tickets    ticketBook
}

// counted is a request to WeChat. One that was refused brought no token.
type counted struct {
	at        time.Time
	refused   bool
	clocksOff int // how many clocks were more than 5 s off
}

// recordBefore is the record as it was before a sidecar last wrote it.
type recordBefore struct {
	value string
	at    time.Time
}

func newJudge(w *world) *judge {
	return &judge{
		world: w, arrived: map[string]time.Time{}, reported: map[string]bool{}, lost: map[string]bool{},
		before: map[*pod]recordBefore{}, newest: map[string]int{},
	}
}

// broken notes an invariant that is broken now, by its name.
func (j *judge) broken(invariant, format string, args ...any) {
	j.brokenAt(time.Now(), invariant, format, args...)
}

// brokenAt notes one that was broken then. The caller holds mu.
func (j *judge) brokenAt(at time.Time, invariant, format string, args ...any) {
	if j.muted {
		return
	}
	since := at.Sub(j.world.start)
	j.faults = append(j.faults, fmt.Sprintf("%s: at %s: %s (%s)", invariant,
		since.Round(time.Millisecond), fmt.Sprintf(format, args...), j.world.episodeAt(since)))
}

// begin notes that a trouble began; the function it returns, that it is over.
func (j *judge) begin(what trouble) (end func()) {
	endIn := j.beginLong(what)
	return func() { endIn(0) }
}

// beginLong does so for a trouble whose effect lasts for some time after its end.
func (j *judge) beginLong(what trouble) (endIn func(time.Duration)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := len(j.spans)
	j.spans = append(j.spans, span{what: what, from: time.Now()})
	return func(d time.Duration) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.spans[i].to = time.Now().Add(d)
	}
}

// refused notes that WeChat refused a request. After some refusals all sidecars
// wait an hour, however soon WeChat would answer again.
func (j *judge) refused(errcode int) {
	if errcode != 45009 && errcode != 89507 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	j.spans = append(j.spans, span{wechatTrouble, now, now.Add(time.Hour + time.Minute)})
}

// writing notes that a sidecar is about to write the record.
func (j *judge) writing(p *pod) {
	item, _ := j.world.memcached.Peek(recordKey)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.before[p] = recordBefore{item.Value, time.Now()}
}

// goodFor returns for how long the record that a sidecar decided by needs no
// renewal, in seconds. At most 0 means that it needs one. A claim is no reason
// for the request that it precedes: what counts is the record before it. The
// caller holds mu.
func (j *judge) goodFor(p *pod, value string, now time.Time) int64 {
	type record struct {
		Token                  string
		Issued, Expires, Doubt int64
	}
	var r, claimed record
	_ = json.Unmarshal([]byte(value), &claimed)
	if before := j.before[p]; claimed.Doubt > now.Add(30*time.Second).Unix() && now.Sub(before.at) <= claimTime {
		value = before.value
	}
	_ = json.Unmarshal([]byte(value), &r)
	life, age := r.Expires-r.Issued, now.Unix()-r.Issued
	if r.Token == "" || life <= 0 || r.Doubt != 0 || age <= 2 || j.reported[r.Token] {
		return 0
	}
	return min(3300, max(life-295, life/2)) - age
}

// troubled reports whether any of the troubles (all, if none is named) lasted
// in some part of the time between from and to. The caller holds mu.
func (j *judge) troubled(from, to time.Time, whats ...trouble) bool {
	for i := len(j.spans) - 1; i >= 0; i-- {
		s := j.spans[i]
		over := !s.to.IsZero() && s.to.Before(from)
		if !over && !s.from.After(to) && (len(whats) == 0 || slices.Contains(whats, s.what)) {
			return true
		}
	}
	return false
}

// delivered notes that WeChat's answer reached a sidecar that was running.
func (j *judge) delivered(token string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, ok := j.arrived[token]; !ok {
		j.arrived[token] = time.Now()
	}
}

// killed notes that a sidecar was killed: an answer that it got just now may
// not have been written.
func (j *judge) killed() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for token, at := range j.arrived {
		if time.Since(at) < 2*time.Second {
			j.lost[token] = true
		}
	}
}

// calling judges a sidecar that has decided to request a token, by what memcached
// really holds. Whatever is amiss, it must hold the lease, be the only one, and
// have a reason.
func (j *judge) calling(p *pod, api string) (over func()) {
	lease, leased := j.world.memcached.Peek(leaseKey)
	item, recorded := j.world.memcached.Peek(recordKey)
	entry, _ := j.world.memcached.Peek(appID)
	external := slices.ContainsFunc(j.world.wechat.Issued(), func(i wechattest.Issue) bool { return i.External && i.Token == entry.Value })
	settled := p.settled(pollBound)
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	p.mu.Lock()
	paused, direct := p.stopped, p.direct
	if !paused && api != string(p.api) {
		p.direct = now
	}
	p.mu.Unlock()
	lately := now.Add(-16 * time.Second)
	switch {
	case paused: // about to be judged as a lost answer
		return func() {}
	case api != string(p.api): // without memcached
		if now.Sub(direct) < directApart {
			j.broken("Bounded", "%s asks stable_token %s after it did", p.name, now.Sub(direct))
		}
		return func() {}
	case api == string(wechat.StableToken) && (!settled || j.troubled(lately, now, memcachedTrouble, podTrouble, verbTrouble)):
		return func() {} // perhaps without memcached
	}
	if since := j.refusing; api == string(wechat.Token) && !since.IsZero() && now.Sub(since) > 20*time.Second && j.hadRecord(p, recorded, now) {
		j.broken("One request", "%s requests a token although it cannot claim: memcached has refused to write for %s", p.name, now.Sub(since))
		j.refusing = time.Time{} // once is enough
	}
	if !j.troubled(lately, now, memcachedTrouble) {
		if (!leased && now.Sub(j.leaseTaken) > 16*time.Second) || strings.HasPrefix(lease.Value, "{") {
			j.broken("One request", "%s requests a token without the lease", p.name)
		}
		if j.ongoing > 0 && !j.troubled(lately, now, podTrouble) {
			j.broken("One request", "%s requests a token while another does", p.name)
		}
	}
	if good := j.goodFor(p, item.Value, now); good > 5 && !external && !j.troubled(now.Add(-2*time.Minute), now, externalTrouble, clockTrouble) {
		j.broken("One request", "%s requests a token although the record is good for %d s", p.name, good)
	}
	j.ongoing++
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.ongoing--
	}
}

// hadRecord reports whether there was a record before a sidecar claimed: without
// one, a claim is an add. The caller holds mu.
func (j *judge) hadRecord(p *pod, recorded bool, now time.Time) bool {
	if before, ok := j.before[p]; ok && now.Sub(before.at) <= claimTime {
		return before.value != ""
	}
	return recorded
}

// leaseIsTaken notes that a fault takes away the lease alone.
func (j *judge) leaseIsTaken() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.leaseTaken = time.Now()
}

// received notes a request that has reached WeChat.
func (j *judge) received(r wechattest.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counts(r.API, false)
}

// refusedFor notes a request that WeChat refuses because of who makes it.
func (j *judge) refusedFor(api string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counts(api, true)
}

// counts notes a request. The caller holds mu.
func (j *judge) counts(api string, refused bool) {
	now := time.Now()
	lately := now.Add(-time.Minute)
	if j.troubled(lately, now, memcachedTrouble) || (api == string(wechat.StableToken) && j.troubled(lately, now, verbTrouble)) {
		return // a request to stable_token without memcached, or a lease that was lost
	}
	if isTicket(api) {
		if !refused {
			j.tickets.calls = append(j.tickets.calls, now)
		}
		return
	}
	off := 0
	for _, p := range j.world.pods {
		if time.Duration(p.skew.Load()).Abs() > 5*time.Second {
			off++
		}
	}
	j.requests = append(j.requests, counted{now, refused, off})
}

// read judges a token that a reader was given.
func (j *judge) read(p *pod, token string) (invalid bool) {
	code := j.world.wechat.Accepts(token)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reads++
	if code == 0 {
		return false
	}
	j.invalid++
	now := time.Now()
	if issued := j.world.wechat.Issued(); len(issued) > 0 && now.Sub(issued[len(issued)-1].At) <= time.Second {
		j.crossed++
	}
	j.reported[token] = true
	defer func() { j.reports = append(j.reports, now) }()
	if reason := j.excuse(p, token, now); reason == "" {
		j.broken("Never invalid", "%s gave token %d, refused with %d; issued: %s", p.name, j.number(token), code, j.history())
	}
	return true
}

// falselyReported notes a report of a token, invalid or not.
func (j *judge) falselyReported(token string) {
	refused := j.world.wechat.Accepts(token) != 0
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reported[token] = true
	if refused { // one of a valid token is found out, and renews nothing after the first
		j.reports = append(j.reports, time.Now())
	}
}

// mistaken judges so many tokens that were issued while apps reported valid ones from then
// on: one for the first report, and those that were due by their age.
func (j *judge) mistaken(from time.Time, issued int, alone bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	due := 1 + int(time.Since(from)/(3290*time.Second))
	others := []trouble{memcachedTrouble, wechatTrouble, podTrouble, clockTrouble, verbTrouble, onePodTrouble}
	if alone && issued > 1+due && !j.troubled(from.Add(-11*time.Minute), time.Now(), others...) {
		j.broken("One request", "%d tokens were issued while an app reported valid ones", issued)
	}
}

// refreshed judges the answer to a report: it must be newer.
func (j *judge) refreshed(p *pod, rejected, token string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before, was := j.seq(rejected)
	after, is := j.seq(token)
	if before == after && was > is {
		j.broken("Never backwards", "%s answered the report of token %d with %d", p.name, was, is)
	}
}

// failed judges a reader's error.
func (j *judge) failed(p *pod, holds bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failures++
	if holds && p.holdsToken() && p.settled(20*time.Second) {
		j.broken("Never nothing", "%s holds a live token and its reader got an error: %v", p.name, err)
	}
}

// watch judges what memcached holds, once a second.
func (j *judge) watch() {
	item, ok := j.world.memcached.Peek(appID)
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	api, at := j.seq(item.Value)
	if ok && item.Expires.IsZero() && at > 0 {
		j.broken("Never invalid", "the entry lives for ever")
	}
	for _, key := range j.world.memcached.Keys() {
		if strings.Contains(key, "canary") {
			j.broken("Never leaked", "a key of memcached holds a secret or a token")
		}
	}
	if !ok || at == 0 || at >= j.newest[api] {
		j.newest[api] = max(j.newest[api], at)
		j.backSince = time.Time{}
		return
	}
	if j.backSince.IsZero() {
		j.backSince = now
	}
	able := slices.ContainsFunc(j.world.pods, func(p *pod) bool { return !p.cut.Load() && p.settled(2*pollBound) })
	// A WeChat that names a life of seconds makes a newer token expire before an older one.
	others := []trouble{memcachedTrouble, externalTrouble, verbTrouble, wechatTrouble, numberTrouble}
	if now.Sub(j.backSince) > 2*pollBound && able && !j.troubled(j.backSince, now, others...) {
		j.broken("Never backwards", "the entry holds token %d for %s, %d was there before", at, now.Sub(j.backSince), j.newest[api])
		j.newest[api], j.backSince = at, time.Time{}
	}
}

// seq returns the API of a token, and its place in the order of issues; 0 for one
// that is not ours. A token of one API never ends one of the other, and the two
// have no order.
func (j *judge) seq(token string) (api string, seq int) {
	for _, i := range j.world.wechat.Issued() {
		if i.Token == token && i.New && !i.External {
			return i.API, i.Seq
		}
	}
	return "", 0
}

// number is the place of a token alone.
func (j *judge) number(token string) int {
	_, seq := j.seq(token)
	return seq
}

// history is the last issues, for people.
func (j *judge) history() string {
	issued := j.world.wechat.Issued()
	var b strings.Builder
	for _, i := range issued[max(0, len(issued)-6):] {
		fmt.Fprintf(&b, "[%d %s at %s new=%t external=%t lost=%t] ", i.Seq, i.API, i.At.Sub(j.world.start).Round(time.Second), i.New, i.External, j.isLost(i))
	}
	return b.String()
}
