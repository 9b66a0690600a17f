package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// explained is a call with what it was for.
type explained struct {
	call
	extra bool   // beyond the one that a renewal needs
	why   string // of an extra call; empty: nobody knows
	// doubted is the wrong answer of the last minutes that left a doubt; empty: none.
	doubted string
}

// explain tells for each call what it was for. A renewal needs one call: the first
// at or after the time when the last token that came to anybody is due. Every
// other one is extra, and must follow from what went before.
func (w *world) explain() []explained {
	calls := w.wechat.made()
	all := make([]explained, len(calls))
	type state struct {
		last    *explained    // the call before
		lost    bool          // nobody got its token
		due     time.Duration // when the next renewal is
		renewed bool          // that renewal has had its call
	}
	states := map[string]*state{}
	brought := w.brought(calls)
	for i, c := range calls {
		s := states[c.account]
		if s == nil {
			s = &state{}
			states[c.account] = s
		}
		e := &all[i]
		e.call = c
		if s.last != nil && e.at-s.last.at < grace {
			e.doubted = s.last.doubted
			if s.last.answered != "" {
				e.doubted = s.last.answered
			}
		}
		if e.extra = s.renewed || c.at < s.due; e.extra && s.last != nil {
			e.why = w.reason(e, *s.last, s.lost)
		}
		s.last, s.renewed = e, true
		if of, ok := brought[i]; ok {
			s.lost = false
			s.due, s.renewed = c.at+dueFirst(of), false
		} else {
			s.lost = true
		}
	}
	return all
}

// brought is how long the token lives that a call, by its place, brought to somebody.
func (w *world) brought(calls []call) map[int]time.Duration {
	brought := map[int]time.Duration{}
	used := map[int]bool{}
	for _, issue := range w.wechat.Issued() {
		at := w.journal.at(issue.At)
		// A call is noted before its token is issued; the latest that fits is it.
		for i, c := range slices.Backward(calls) {
			if c.account == issue.AppID && c.api == issue.API && c.at <= at && !used[i] {
				used[i] = true
				if w.judge.wasHeld(issue.Token) {
					brought[i] = issue.Dies.Sub(issue.At) // what is left of one that stable_token gives again
				}
				break
			}
		}
	}
	return brought
}

// reason is why a call was made although the one before was made already.
func (w *world) reason(e *explained, before explained, lost bool) string {
	const round = time.Second // what is noted here and in a sidecar's log are apart
	since := before.at - round
	code := w.judge.refused(e.account, since, e.at)
	hurt := w.judge.hitOf(e.account, since, e.at)
	switch {
	case e.api == "stable_token" && w.memcachedHurt(e.at):
		return "memcached is out of reach: each sidecar asks stable_token for itself"
	case before.answered != "":
		return "after " + before.answered
	case lost && hurt != "":
		return hurt
	case lost && code != 0:
		return fmt.Sprintf("after errcode %d", code)
	case w.judge.heardOf(lostLease, e.account, since, e.at+round) && (hurt != "" || w.memcachedHurt(e.at)):
		return "the lease could not be confirmed after the answer: a doubt"
	case w.judge.heardOf(rejected, e.account, since, e.at+round):
		return "reported as refused"
	case hurt != "":
		return hurt
	case e.doubted != "":
		return "the doubt after " + e.doubted
	case w.amnesia(before.at, e.at):
		return "nobody remembered the token"
	case w.judge.heardOf(outcast, e.account, since-grace, e.at) && w.memcachedHurt(e.at):
		return "back from stable_token"
	}
	return ""
}

// memcachedHurt reports whether memcached, or the way to it, was hurt in the minutes
// before: else that it was lost explains nothing.
func (w *world) memcachedHurt(at time.Duration) bool {
	return slices.ContainsFunc(w.rows, func(r *row) bool {
		return r.memcached && at >= r.from && (r.to == 0 || at < r.to+life)
	})
}

// amnesia reports whether all was forgotten in a time.
func (w *world) amnesia(from, to time.Duration) bool {
	return w.forgotten > 0 && w.forgotten >= from && w.forgotten <= to
}

// extra is how many calls in a span were too many, and why, as people read it;
// unexplained is how many of them nobody can explain.
func extra(all []explained, s span) (n int, why string, unexplained int) {
	counts := map[string]int{}
	for _, e := range all {
		if !e.extra || !s.has(e.account, e.at) {
			continue
		}
		n++
		if e.why == "" {
			unexplained++
			e.why = "**unexplained**"
		}
		counts[e.why]++
	}
	var parts []string
	for reason, count := range counts {
		parts = append(parts, fmt.Sprintf("%d × %s", count, reason))
	}
	slices.Sort(parts)
	return n, strings.Join(parts, "; "), unexplained
}

// busiest is the most extra calls for one account in ten minutes while memcached
// held: those of stable_token are made because it does not.
func busiest(all []explained) int {
	const window = 10 * time.Minute
	most := 0
	for i, first := range all {
		n := 0
		for _, e := range all[i:] {
			if e.extra && e.account == first.account && e.at < first.at+window && e.api == "token" {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// fresh is how long after a call for its account a read began; false where none
// came within a look.
func fresh(all []explained, r read) (after time.Duration, ok bool) {
	for _, e := range slices.Backward(all) {
		if e.account == r.account && r.at+r.took >= e.at && r.at <= e.at+lookAtMost {
			return max(0, r.at-e.at), true
		}
	}
	return 0, false
}
