package keeper_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// trouble is a kind of fault. What is forgiven while one lasts is not forgiven
// while another does.
type trouble string

const (
	memcachedTrouble trouble = "memcached"
	wechatTrouble    trouble = "wechat"
	podTrouble       trouble = "pod" // stopped, killed, restarted, cut off
	strangerTrouble  trouble = "stranger"
	clockTrouble     trouble = "clock" // the clocks of two sidecars are further apart than 5 s
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

	mu       sync.Mutex // guards what follows
	arrived  map[string]time.Time
	lost     map[string]bool // issued, and its answer never reached a sidecar that lived to write it
	spans    []span
	calls    []time.Time // calls made while memcached held
	reports  []time.Time
	reported map[string]bool // the tokens that were reported, true or not
	faults   []string
	inFlight int // calls to WeChat
	// leaseTaken is when a fault last took away the lease alone.
	leaseTaken time.Time
	newest     int // highest sequence number seen in the entry
	backSince  time.Time
	reads      int
	dead       int
	crossed    int // of these, within a second after a new token was issued
	nothing    int
	tickets    ticketBook
}

func newJudge(w *world) *judge {
	return &judge{world: w, arrived: map[string]time.Time{}, reported: map[string]bool{}, lost: map[string]bool{}}
}

// break notes a broken invariant by its name.
func (j *judge) broken(invariant, format string, args ...any) {
	if j.muted {
		return
	}
	j.faults = append(j.faults, fmt.Sprintf("%s: at %s: %s", invariant,
		time.Since(j.world.start).Round(time.Millisecond), fmt.Sprintf(format, args...)))
}

// begin notes that a trouble began; the function it returns, that it is over.
func (j *judge) begin(what trouble) (end func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := len(j.spans)
	j.spans = append(j.spans, span{what: what, from: time.Now()})
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.spans[i].to = time.Now()
	}
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

// calling judges a sidecar that has decided to call WeChat, by what memcached
// really holds. Whatever is amiss, it must hold the lease, be the only one, and
// have a reason.
func (j *judge) calling(p *pod, api string) (over func()) {
	lease, leased := j.world.memcached.Peek(simAppID + ":lease")
	item, _ := j.world.memcached.Peek(simAppID + ":record")
	entry, _ := j.world.memcached.Peek(simAppID)
	stolen := slices.ContainsFunc(j.world.wechat.Issued(), func(i wechattest.Issue) bool { return i.Stranger && i.Token == entry.Value })
	settled := p.settled(lookBound)
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	p.mu.Lock()
	paused := p.stopped
	p.mu.Unlock()
	if api != string(j.world.api) || (api != "token" && (!settled || j.troubled(now.Add(-16*time.Second), now, memcachedTrouble, podTrouble))) || paused {
		return func() {} // without memcached, or about to be judged as a lost answer
	}
	if !j.troubled(now.Add(-16*time.Second), now, memcachedTrouble) {
		if (!leased && now.Sub(j.leaseTaken) > 16*time.Second) || strings.HasPrefix(lease.Value, "{") {
			j.broken("One call", "%s calls without the lease", p.name)
		}
		if j.inFlight > 0 && !j.troubled(now.Add(-16*time.Second), now, podTrouble) {
			j.broken("One call", "%s calls while another does", p.name)
		}
	}
	var record struct {
		Token               string
		Issued, Dies, Doubt int64
	}
	_ = json.Unmarshal([]byte(item.Value), &record)
	life, age := record.Dies-record.Issued, now.Unix()-record.Issued
	due := min(3300, max(life-295, life/2))
	reported := j.reported[record.Token]
	if life > 0 && record.Doubt == 0 && age > 2 && age < due-5 && !reported && !stolen && !j.troubled(now.Add(-2*time.Minute), now, strangerTrouble, clockTrouble) {
		j.broken("One call", "%s calls although the record is good for %d s", p.name, due-age)
	}
	j.inFlight++
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.inFlight--
	}
}

// leaseIsTaken notes that a fault takes away the lease alone.
func (j *judge) leaseIsTaken() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.leaseTaken = time.Now()
}

// called notes a call to WeChat.
func (j *judge) called(c wechattest.Call) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	if j.troubled(now.Add(-time.Minute), now, memcachedTrouble) {
		return // a stable_token call without memcached, or a lease that was lost
	}
	if isTicket(c.API) {
		j.tickets.calls = append(j.tickets.calls, now)
		return
	}
	j.calls = append(j.calls, now)
}

// read judges a token that a reader was given.
func (j *judge) read(p *pod, token string) (dead bool) {
	code := j.world.wechat.Accepts(token)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reads++
	if code == 0 {
		return false
	}
	j.dead++
	now := time.Now()
	if issued := j.world.wechat.Issued(); len(issued) > 0 && now.Sub(issued[len(issued)-1].At) <= time.Second {
		j.crossed++
	}
	j.reported[token] = true
	defer func() { j.reports = append(j.reports, now) }()
	if reason := j.excuse(p, token, now); reason == "" {
		j.broken("Never dead", "%s gave token %d, refused with %d; issued: %s", p.name, j.seq(token), code, j.history())
	}
	return true
}

// falselyReported notes a report of a token, dead or not.
func (j *judge) falselyReported(token string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reports = append(j.reports, time.Now())
	j.reported[token] = true
}

// refreshed judges the answer to a report: it must be newer.
func (j *judge) refreshed(p *pod, rejected, token string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if was, is := j.seq(rejected), j.seq(token); is > 0 && was > is {
		j.broken("Never backwards", "%s answered the report of token %d with %d", p.name, was, is)
	}
}

// failed judges a reader's error.
func (j *judge) failed(p *pod, holds bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.nothing++
	if holds && p.holdsToken() && p.settled(20*time.Second) {
		j.broken("Never nothing", "%s holds a live token and its reader got an error: %v", p.name, err)
	}
}

// watch judges what memcached holds, once a second.
func (j *judge) watch() {
	item, ok := j.world.memcached.Peek(simAppID)
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	if ok && item.Expires.IsZero() && j.seq(item.Value) > 0 {
		j.broken("Never dead", "the entry lives for ever")
	}
	for _, key := range j.world.memcached.Keys() {
		if strings.Contains(key, "canary") {
			j.broken("Never leaked", "a key of memcached holds a secret or a token")
		}
	}
	at := 0
	if ok {
		at = j.seq(item.Value)
	}
	if at == 0 || at >= j.newest {
		j.newest = max(j.newest, at)
		j.backSince = time.Time{}
		return
	}
	if j.backSince.IsZero() {
		j.backSince = now
	}
	able := slices.ContainsFunc(j.world.pods, func(p *pod) bool { return !p.cut.Load() && p.settled(2*lookBound) })
	if now.Sub(j.backSince) > 2*lookBound && able && !j.troubled(j.backSince, now, memcachedTrouble, strangerTrouble) {
		j.broken("Never backwards", "the entry holds token %d for %s, %d was there before", at, now.Sub(j.backSince), j.newest)
		j.newest, j.backSince = at, time.Time{}
	}
}

// seq is the place of a token in the order of issues; 0 for one that is not ours.
func (j *judge) seq(token string) int {
	seq := 0
	for _, i := range j.world.wechat.Issued() {
		if i.Token == token && !i.Stranger {
			seq = i.Seq
		}
	}
	return seq
}

// history is the last issues, for people.
func (j *judge) history() string {
	issued := j.world.wechat.Issued()
	var b strings.Builder
	for _, i := range issued[max(0, len(issued)-6):] {
		fmt.Fprintf(&b, "[%d %s at %s new=%t stranger=%t lost=%t] ", i.Seq, i.API, i.At.Sub(j.world.start).Round(time.Second), i.New, i.Stranger, j.isLost(i))
	}
	return b.String()
}
