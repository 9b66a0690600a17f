package sim

import (
	"slices"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	// pollBound is a poll, and the writing after it.
	pollBound = 16 * time.Second
	// doubtBound is from a request whose answer is lost to a new token everywhere:
	// the time of a claim's doubt, the jitter, a poll of who renews, the request, and
	// a poll of all others.
	doubtBound = 75*time.Second + 30*time.Second + pollBound + 5*time.Second + pollBound
	// reportBound is from the first report to a new token everywhere: the limit
	// on reports, the check of the second one, and a poll.
	reportBound = 31*time.Second + 2*time.Second + pollBound + 4*time.Second
	// handOvers is by how much longer it takes if a sidecar that cannot reach WeChat
	// is the first to try, and another such one the second: a dial, and a poll.
	handOvers = 2 * (5*time.Second + 20*time.Second)
	// pollLeast is the least time between two polls of a sidecar.
	pollLeast = 10 * time.Second
	// graceTime is how long WeChat accepts a superseded token.
	graceTime = 300 * time.Second
)

// excuse returns why a sidecar may have given an invalid token; empty if it must not.
func (j *judge) excuse(p *pod, token string, now time.Time) string {
	issued := j.world.wechat.Issued()
	at := slices.IndexFunc(issued, func(i wechattest.Issue) bool { return i.Token == token })
	if at < 0 {
		return ""
	}
	if !now.Before(issued[at].Expires) { // everybody knows when it expires
		if j.troubled(issued[at].At, now, clockTrouble) && p.startedSince(issued[at].At) {
			return "its sidecar has started since, and must believe its clock"
		}
		return ""
	}
	// The first that superseded it, and what came since.
	for _, i := range issued[at+1:] {
		if i.API != issued[at].API || !i.New {
			continue
		}
		switch {
		case i.ForceRefresh: // WeChat gives no grace: others learn of it at their poll
			if now.Sub(i.At) <= reportBound || j.troubled(now.Add(-11*time.Minute), now, wechatTrouble, memcachedTrouble, verbTrouble) {
				return "forced"
			}
		case i.External:
			if j.healing(i.At, now, reportBound, externalTrouble, j.reports) {
				return "external fetch"
			}
		case j.isLost(i):
			if j.healing(i.At, now, doubtBound, podTrouble, j.reports) {
				return "lost answer"
			}
		}
		if j.cutOff(i.At, now) && j.healing(i.At.Add(graceTime), now, reportBound, memcachedTrouble, j.reports) {
			return "its sidecar could not learn of it"
		}
		// A clock that is hours off may cause a second request within the grace: that
		// ends the token before at once, and others learn of it at their poll.
		if now.Sub(i.At) <= pollBound && j.troubled(i.At.Add(-time.Minute), i.At, clockTrouble) {
			return "a clock"
		}
	}
	if j.troubled(now.Add(-pollBound), now, numberTrouble) {
		return "an older token was put back, in doubt"
	}
	if !p.settled(pollBound) {
		return "its sidecar was stopped"
	}
	return ""
}

// cutOff reports whether memcached has failed, for this sidecar or for all, since
// before everybody had seen what was issued then: a renewal that a report caused
// elsewhere cannot be known. The caller holds mu.
func (j *judge) cutOff(issued, now time.Time) bool {
	return slices.ContainsFunc(j.spans, func(s span) bool {
		return s.what == memcachedTrouble && !s.from.After(issued.Add(pollBound)) && (s.to.IsZero() || !s.to.Before(now))
	})
}

// healing reports whether what happened at that time need not be healed yet: no
// more than bound has passed since it, since the first of these reports, or since
// other troubles ended that stood in the way. The caller holds mu.
func (j *judge) healing(since, now time.Time, bound time.Duration, own trouble, reports []time.Time) bool {
	if j.troubled(since, now, onePodTrouble) {
		bound += handOvers
	}
	if now.Sub(since) <= bound {
		return true
	}
	for _, what := range []trouble{memcachedTrouble, verbTrouble, wechatTrouble, podTrouble, externalTrouble} {
		wait := bound
		if what != podTrouble { // the budget of ten minutes may be used up when it ends
			wait = 11 * time.Minute
		}
		if what != own && j.troubled(now.Add(-wait), now, what) && j.troubled(since, now, what) {
			return true
		}
	}
	if own == podTrouble {
		return false
	}
	// No sidecar knows of an external fetch before the first report of the invalid token.
	for _, report := range reports {
		if report.After(since) && now.Sub(report) > bound {
			return false
		}
	}
	return true
}

// isLost reports whether perhaps no sidecar holds this token, or knows that it
// is the last. The caller holds mu.
func (j *judge) isLost(i wechattest.Issue) bool {
	at, ok := j.arrived[i.Token]
	return !ok || j.lost[i.Token] || j.troubled(i.At.Add(-20*time.Second), at.Add(time.Second), memcachedTrouble, podTrouble, verbTrouble)
}
