package main

import (
	"slices"
	"sync"
	"time"
)

// judge keeps the books: every read, every event, every moment without an entry.
type judge struct {
	journal *journal

	mu     sync.Mutex // guards what follows
	reads  []read
	events []event
	hits   []hit
	held   map[string]bool // tokens that somebody was seen to hold
}

// read is one token that an app asked for.
type read struct {
	at, took time.Duration
	reader   string
	account  string
	verdict  verdict
}

// verdict is what WeChat said of it in the moment of the read.
type verdict int

const (
	alive verdict = iota
	dead
	failed // there was no token
)

// hit is what this program did to a sidecar in the midst of an account's renewal.
type hit struct {
	at      time.Duration
	account string
	what    words
}

func newJudge(j *journal) *judge { return &judge{journal: j, held: map[string]bool{}} }

// read notes a read that began at; why is the error of one that failed.
func (j *judge) read(reader, account, token string, at time.Duration, v verdict, why string) {
	r := read{at: at, took: j.journal.now() - at, reader: reader, account: account, verdict: v}
	j.mu.Lock()
	j.reads = append(j.reads, r)
	if v != failed {
		j.held[token] = true
	}
	j.mu.Unlock()
	switch v {
	case dead:
		j.journal.say("DEAD TOKEN read by %s, account %s", reader, account)
	case failed:
		j.journal.say("a read failed: %s, account %s, after %.2f s: %s", reader, account, r.took.Seconds(), why)
	case alive:
	}
}

// heard notes a line of a sidecar's log, and passes on what is worth reading.
func (j *judge) heard(e event) {
	j.mu.Lock()
	j.events = append(j.events, e)
	j.mu.Unlock()
	if e.Level == "WARN" && e.Text == unwritten {
		j.journal.say("  sidecar: %s (%s)", e.Text, e.AppID)
	}
}

// Lines of the sidecars' logs that explain a call.
const (
	unwritten     = "token fetched but not written: renewing once more"
	degraded      = "memcached fails: token fetched without it"
	failedRenewal = "renewal failed"
	reported      = "token reported as invalid before its time, and no sidecar renewed it"
)

func (j *judge) hit(account string, what words) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.hits = append(j.hits, hit{j.journal.now(), account, what})
}

func (j *judge) holds(token string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.held[token] = true
}

// wasHeld reports whether a token came to anybody.
func (j *judge) wasHeld(token string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.held[token]
}

// heardOf reports whether a sidecar logged this of an account, "" any, in a time.
func (j *judge) heardOf(text, account string, from, to time.Duration) bool {
	return len(j.when(text, account, from, to)) > 0
}

// when is the moments at which it did.
func (j *judge) when(text, account string, from, to time.Duration) (moments []time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Text == text && (account == "" || e.AppID == account) && e.at >= from && e.at <= to {
			moments = append(moments, e.at)
		}
	}
	return moments
}

// refused is the errcode that a call for an account failed with in a time; 0: none.
func (j *judge) refused(account string, from, to time.Duration) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Text == failedRenewal && e.AppID == account && e.at >= from && e.at <= to {
			return e.Code
		}
	}
	return 0
}

// hitOf is what was done to the renewal of an account in a time; empty for nothing.
func (j *judge) hitOf(account string, from, to time.Duration) words {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, h := range j.hits {
		if h.account == account && h.at >= from && h.at <= to {
			return h.what
		}
	}
	return words{}
}

// counts is how often each reader read in a span.
func (j *judge) counts(s span) map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	counts := map[string]int{}
	for _, r := range j.reads {
		if s.has(r.account, r.at) {
			counts[r.reader]++
		}
	}
	return counts
}

// span is some accounts in some time.
type span struct {
	accounts []string // empty: all
	from, to time.Duration
}

func (s span) has(account string, at time.Duration) bool {
	return at >= s.from && at < s.to && (len(s.accounts) == 0 || slices.Contains(s.accounts, account))
}

// figures are what a span left.
type figures struct {
	reads, dead, failed int
	longest             time.Duration // a read
	deadAt, failedAt    []read
}

// add adds those of another one.
func (f *figures) add(g figures) {
	f.reads, f.dead, f.failed = f.reads+g.reads, f.dead+g.dead, f.failed+g.failed
	f.longest = max(f.longest, g.longest)
	f.deadAt, f.failedAt = append(f.deadAt, g.deadAt...), append(f.failedAt, g.failedAt...)
}

func (j *judge) of(s span) (f figures) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.reads {
		if !s.has(r.account, r.at) {
			continue
		}
		f.reads++
		f.longest = max(f.longest, r.took)
		switch r.verdict {
		case dead:
			f.dead++
			f.deadAt = append(f.deadAt, r)
		case failed:
			f.failed++
			f.failedAt = append(f.failedAt, r)
		case alive:
		}
	}
	return f
}
