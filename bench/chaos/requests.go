package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// request is a request to WeChat for a token, and its cause.
type request struct {
	at           time.Duration
	account, api string
	wrong        string        // what was wrong with the answer; "" means nothing that WeChat knows of
	life         time.Duration // of its token, if that arrived at a reader or in an entry
	extra        bool          // not the one request that a renewal needs
	cause        string        // of an extra request; "" means that nothing explains it
	doubt        string        // the last wrong answer before it, for the grace; "" means none
}

// explain finds the cause of each request. A renewal needs one request: the first one
// when the last token that arrived is due. Every other one is extra, and must follow
// from an earlier event.
func (h *harness) explain() []*request {
	requests := h.wechat.allRequests()
	h.findLives(requests)
	last := map[string]*request{}     // by account
	due := map[string]time.Duration{} // when the next renewal is
	for _, r := range requests {
		before := last[r.account]
		last[r.account] = r
		if before != nil {
			if r.at-before.at < grace {
				r.doubt = cmp.Or(before.wrong, before.doubt)
			}
			if r.extra = before.life == 0 || r.at < due[r.account]; r.extra {
				r.cause = h.cause(r, before)
			}
		}
		if due[r.account] = r.at + dueFirst(r.life); h.judge.hit(r.account, r.at-freeze-2*time.Second, r.at) != "" {
			due[r.account] -= freeze + 2*time.Second // frozen before it sent: the age counts from before the freeze
		}
	}
	return requests
}

// findLives sets the lives of the tokens that arrived.
func (h *harness) findLives(requests []*request) {
	used := map[*request]bool{}
	for _, issue := range h.wechat.Issued() {
		at := h.at(issue.At)
		// A request is noted before its token is issued: it is the latest that fits.
		for _, r := range slices.Backward(requests) {
			if r.account != issue.AppID || r.api != issue.API || r.at > at || used[r] {
				continue
			}
			used[r] = true
			if h.judge.wasHeld(issue.Token) {
				r.life = issue.Expires.Sub(issue.At) // what is left, if stable_token returns a token again
			}
			break
		}
	}
}

// cause returns what explains an extra request; "" means nothing. before is the
// account's request before.
func (h *harness) cause(r, before *request) string {
	const margin = time.Second // the notes and the logs are apart
	lost := before.life == 0
	from, to := before.at-margin, r.at+margin
	hit := h.judge.hit(r.account, from, r.at)
	frozen := h.judge.hit(r.account, r.at-freeze-pollAtMost, r.at) != "" // it learns it when it goes on
	refused := h.judge.find(renewalFailed, r.account, from, r.at)
	unwritten := h.judge.find(tokenUnwritten, r.account, from, to)
	switch {
	case before.wrong != "":
		return "after a wrong answer: " + before.wrong
	case h.forgotten > 0 && h.forgotten >= before.at && h.forgotten <= r.at:
		return "no sidecar remembered the token"
	case lost && hit != "":
		return hit
	case r.api == "stable_token" && h.memcachedFailed(r.at):
		return "memcached unreachable: a sidecar asks stable_token by itself"
	case lost && len(refused) > 0:
		return fmt.Sprintf("after errcode %d", refused[0].Errcode)
	case len(unwritten) > 0 && frozen, slices.ContainsFunc(unwritten, func(e event) bool { return h.memcachedFailed(e.at) }):
		return "the lease could not be confirmed after the answer: a doubt"
	case len(h.judge.find(tokenReported, r.account, from, to)) > 0:
		return "reported as invalid"
	case hit != "":
		return hit
	case h.doubtOfFrozen(r) != "":
		return "the doubt of " + h.doubtOfFrozen(r)
	case r.doubt != "":
		return "the doubt after a wrong answer: " + r.doubt
	case h.memcachedFailed(r.at) && len(h.judge.find(tokenDirect, r.account, from-grace, r.at)) > 0:
		return "memcached reachable again: back from stable_token"
	}
	return ""
}

// doubtAtMost is the longest time from a request until the renewal for its doubt: the
// 75 s of the claim or, after a mark, 60 s from the poll that first saw it, the jitter
// of a token's life, and a poll.
const doubtAtMost = 75*time.Second + life/20 + pollAtMost

// doubtOfFrozen returns what was done to a sidecar that was frozen during its request
// and went on too late for an answer. One more renewal follows.
func (h *harness) doubtOfFrozen(r *request) string {
	if len(h.judge.find(renewalFailed, r.account, r.at-doubtAtMost, r.at)) == 0 {
		return ""
	}
	return h.judge.hit(r.account, r.at-doubtAtMost-freeze-time.Second, r.at)
}

// lag is how long after a fault of memcached a request can still follow from it: a
// poll until a sidecar notices the end, the 30 s for which it does not ask
// stable_token again, and the 10 s that a renewal can take.
const lag = pollAtMost + 30*time.Second + 10*time.Second

// memcachedFailed reports whether a fault of memcached explains a request at a time.
func (h *harness) memcachedFailed(at time.Duration) bool {
	return slices.ContainsFunc(h.rows, func(r *row) bool {
		return r.memcached && at >= r.from && (r.undone == 0 || at < r.undone+lag)
	})
}

// writeRequests writes the cause of each request to a file.
func (h *harness) writeRequests(requests []*request) error {
	var text strings.Builder
	for _, r := range requests {
		cause := r.cause
		if r.extra {
			cause = "extra: " + cmp.Or(cause, unexplained)
		}
		fmt.Fprintf(&text, "%8.2f s  %s  %-12s  %s\n", r.at.Seconds(), r.account, r.api, cause)
	}
	return os.WriteFile(filepath.Join(h.out, "requests.log"), []byte(text.String()), 0o600)
}

const unexplained = "**unexplained**"

// causes counts the causes of the extra requests in a span.
func causes(requests []*request, s span) map[string]int {
	counts := map[string]int{}
	for _, r := range requests {
		if r.extra && s.has(r.account, r.at) {
			counts[cmp.Or(r.cause, unexplained)]++
		}
	}
	return counts
}

// byCount returns each cause with its count, the most frequent first.
func byCount(causes map[string]int) (all []string) {
	names := slices.SortedFunc(maps.Keys(causes), func(a, b string) int {
		return cmp.Or(causes[b]-causes[a], strings.Compare(a, b))
	})
	for _, cause := range names {
		all = append(all, fmt.Sprintf("%d × %s", causes[cause], cause))
	}
	return all
}

// busiest returns the most extra requests to an API for one account in ten minutes.
func busiest(requests []*request, api string) (most int) {
	for i, first := range requests {
		n := 0
		for _, r := range requests[i:] {
			if r.extra && r.api == api && r.account == first.account && r.at < first.at+10*time.Minute {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
