package client

import (
	"cmp"
	"net/http"
	"sync"
	"time"
)

// maxPairs bounds the pairs of method and path that a backoff remembers.
const maxPairs = 256

// pairLife is how long a refusal counts: twice the longest wait. One of long ago says
// nothing about the next.
const pairLife = 20 * time.Minute

// waits are the times between the reports of a pair that WeChat refuses with any token.
var waits = [...]time.Duration{31 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute}

// backoff decides which refusals are reported. WeChat refuses some requests with any
// token: because of their body, or because their path needs another kind of token. Each
// report of these would cost all apps a renewal. So if a method and path refuse a token
// that was renewed since their first refusal, their reports become less frequent. They
// never stop, and a success ends it. The zero value is ready.
type backoff struct {
	mu    sync.Mutex
	pairs map[pair]refusals // mu guards it
}

type pair struct{ method, path string }

func pairOf(req *http.Request) pair { return pair{cmp.Or(req.Method, http.MethodGet), req.URL.Path} }

// refusals are those of a pair since its last success.
type refusals struct {
	first   string // the token that was refused first
	newer   bool   // at that time memcached held another token
	reports int    // those that did not help
	last    time.Time
	until   time.Time // the next report, after one that did not help
}

// refused records a refusal, and returns whether to report it. newer says that memcached
// holds another token than the refused one.
func (b *backoff) refused(p pair, token string, newer bool) (due bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	r, known := b.pairs[p]
	known = known && now.Sub(r.last) < pairLife
	switch {
	case !known, r.reports == 0 && r.newer && r.first != token:
		r, due = refusals{first: token, newer: newer}, true
	case r.reports == 0 && r.first == token: // requests at the same time share a report
		due = true
	case r.reports == 0 || !now.Before(r.until):
		due = r.reports > 0
		r.until = now.Add(waits[min(r.reports, len(waits)-1)])
		r.reports++
	}
	r.last = now
	if b.pairs == nil {
		b.pairs = map[pair]refusals{}
	}
	b.pairs[p] = r
	if len(b.pairs) > maxPairs {
		for other, r := range b.pairs {
			if r.last.Before(b.pairs[p].last) {
				p = other
			}
		}
		delete(b.pairs, p)
	}
	return due
}

// inVain records that a report brought no other token.
func (b *backoff) inVain(p pair, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, known := b.pairs[p]
	if until := time.Now().Add(wait); known && r.until.Before(until) {
		r.reports, r.until = max(r.reports, 1), until
		b.pairs[p] = r
	}
}

// succeeded forgets a pair.
func (b *backoff) succeeded(p pair) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pairs, p)
}
