package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// explained is a call with what it was for.
type explained struct {
	call
	extra bool  // beyond the one that a renewal needs
	why   words // of an extra call; empty: nobody knows
	// doubted is the wrong answer of the last minutes that left a doubt; empty: none.
	doubted words
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
			if s.last.answered != (words{}) {
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
			if w.judge.hitOf(c.account, c.at-frozenFor-2*time.Second, c.at) != (words{}) {
				s.due -= frozenFor + 2*time.Second // it was frozen before it sent: the age counts from before that
			}
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
func (w *world) reason(e *explained, before explained, lost bool) words {
	const round = time.Second // what is noted here and in a sidecar's log are apart
	since := before.at - round
	code := w.judge.refused(e.account, since, e.at)
	hurt := w.judge.hitOf(e.account, since, e.at)
	stopped := w.judge.hitOf(e.account, e.at-frozenFor-lookAtMost, e.at) // who was, learns it when he goes on
	direct := e.api == "stable_token" && w.memcachedHurt(e.at)
	switch {
	case before.answered != (words{}):
		return words{"after ", "前一个应答："}.and(before.answered)
	case w.amnesia(before.at, e.at):
		return words{"nobody remembered the token", "没有任何 sidecar 还记得 token"}
	case lost && hurt != (words{}):
		return hurt
	case lost && code != 0 && !direct: // without memcached, a renewal that fails is nothing of WeChat's
		return words{"after errcode %d", "前一个应答：errcode %d"}.filled(code)
	case stopped != (words{}) && w.judge.heardOf(unwritten, e.account, since, e.at+round):
		return unconfirmed
	case w.judge.heardOf(reported, e.account, since, e.at+round):
		return words{"reported as refused", "被上报为已拒绝"}
	case direct:
		return words{"memcached out of reach: a sidecar asks stable_token for itself", "连不上 memcached：sidecar 各自向 stable_token 要"}
	case hurt != (words{}):
		return hurt
	case w.stoppedInDoubt(e) != (words{}):
		return words{"the doubt of ", "存疑，来自"}.and(w.stoppedInDoubt(e))
	case e.doubted != (words{}):
		return words{"the doubt after ", "存疑，因为应答："}.and(e.doubted)
	case slices.ContainsFunc(w.judge.when(unwritten, e.account, since, e.at+round), w.memcachedHurt):
		return unconfirmed
	case w.judge.heardOf(degraded, e.account, since-grace, e.at) && w.memcachedHurt(e.at):
		return words{"memcached in reach again: back from stable_token", "memcached 又连得上：从 stable_token 换回"}
	}
	return words{}
}

var unconfirmed = words{"the lease could not be confirmed after the answer: a doubt", "应答之后无法确认租约：存疑"}

// doubtAtMost is how long after a request a renewal for its doubt can come: the 75 s
// of the claim or, after a mark, 60 s from when a poll first saw it, the jitter of a
// token's life, and a poll.
const doubtAtMost = 75*time.Second + life/20 + lookAtMost

// stoppedInDoubt is what was done to a sidecar that was stopped in the midst of its
// request, and found when it went on that the time for an answer was over: one more
// renewal is owed.
func (w *world) stoppedInDoubt(e *explained) words {
	if !w.judge.heardOf(failedRenewal, e.account, e.at-doubtAtMost, e.at) {
		return words{}
	}
	return w.judge.hitOf(e.account, e.at-doubtAtMost-frozenFor-time.Second, e.at)
}

// lag is how long after the end of memcached's trouble a call may still follow from
// it: a look until a sidecar learns of the end, the 30 s for which it does not ask
// stable_token again, and the 10 s for which a renewal may hang.
const lag = lookAtMost + 30*time.Second + 10*time.Second

// memcachedHurt reports whether memcached, or the way to it, was hurt at a time or
// just before: else that it was lost explains nothing.
func (w *world) memcachedHurt(at time.Duration) bool {
	return slices.ContainsFunc(w.rows, func(r *row) bool {
		return r.memcached && at >= r.from && (r.undone == 0 || at < r.undone+lag)
	})
}

// amnesia reports whether all was forgotten in a time.
func (w *world) amnesia(from, to time.Duration) bool {
	return w.forgotten > 0 && w.forgotten >= from && w.forgotten <= to
}

// reason is why calls were made, and for how many.
type reason struct {
	why words
	n   int
}

var unknown = words{"**unexplained**", "**无法解释**"}

// extra is the calls in some spans that were too many, by their reasons, the most
// frequent first; unexplained is how many of them nobody can explain.
func extra(all []explained, spans ...span) (reasons []reason, unexplained int) {
	counts := map[words]int{}
	for _, e := range all {
		if !e.extra || !slices.ContainsFunc(spans, func(s span) bool { return s.has(e.account, e.at) }) {
			continue
		}
		if e.why == (words{}) {
			unexplained++
			e.why = unknown
		}
		counts[e.why]++
	}
	for why, n := range counts {
		reasons = append(reasons, reason{why, n})
	}
	slices.SortFunc(reasons, func(a, b reason) int { return cmp.Or(b.n-a.n, strings.Compare(a.why.en, b.why.en)) })
	return reasons, unexplained
}

func sum(reasons []reason) (n int) {
	for _, r := range reasons {
		n += r.n
	}
	return n
}

// told is the reasons as a table's cell has them.
func told(reasons []reason, in language) string {
	if len(reasons) == 0 {
		return "0"
	}
	texts := make([]string, len(reasons))
	for i, r := range reasons {
		texts[i] = fmt.Sprintf("%d × %s", r.n, in.of(r.why))
	}
	return strings.Join(texts, in.of(words{"; ", "；"}))
}

// busiest is the most extra calls for one account in ten minutes, among those that
// count.
func busiest(all []explained, counts func(call) bool) int {
	const window = 10 * time.Minute
	most := 0
	for i, first := range all {
		n := 0
		for _, e := range all[i:] {
			if e.extra && e.account == first.account && e.at < first.at+window && counts(e.call) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// configured is whether a call is one of the API that the sidecars are told to use:
// stable_token they ask when memcached does not hold.
func configured(c call) bool { return c.api == "token" }

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
