package keeper

import (
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// What nobody waits for queues, so that a sidecar with thousands of accounts is
// gentle with WeChat and memcached. Whoever waits goes past the queue.
const (
	// renewals is how many of those run at a time.
	renewals = 32
	// paceEvery is the time between two of them that may call WeChat: 50 a second,
	// after the first 50 in a while. 10,000 accounts take 200 s when memcached holds
	// nothing. An account is due 300 s before its entry lapses: enough for 15,000 at
	// the same time.
	paceEvery = 20 * time.Millisecond
	paceFirst = time.Second / paceEvery
	// scatterEvery is how far apart two accounts are renewed that were fetched
	// together: 200 a minute.
	scatterEvery = 300 * time.Millisecond
)

// turn waits for the flight's turn: at once where somebody waits for it. It
// reports false once the sidecar is stopping; else end must be called after it.
func (g *Group) turn(c *credential, f *flight) (end func(), ok bool) {
	select {
	case g.quiet <- struct{}{}:
		if c.good(f.rejected) || g.pace(f) { // one that was adopted meanwhile calls nobody
			return func() { <-g.quiet }, true
		}
		<-g.quiet
	case <-f.awaited:
		return func() {}, true
	case <-g.closing:
	}
	return nil, false
}

// rest is what comes after a look: it tells how far a start is, and lets
// connections go when the renewals that opened them are over.
func (g *Group) rest() {
	g.tellProgress()
	if len(g.quiet) == 0 {
		g.cfg.Store.Trim()
	}
}

// pace keeps two calls to WeChat apart, unless somebody waits for this one. It
// reports false once the sidecar is stopping.
func (g *Group) pace(f *flight) bool {
	g.mu.Lock()
	now := time.Now()
	if saved := now.Add(-paceFirst * paceEvery); g.next.Before(saved) {
		g.next = saved
	}
	g.next = g.next.Add(paceEvery)
	wait := g.next.Sub(now)
	g.mu.Unlock()
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.awaited:
	case <-g.closing:
		return false
	}
	return true
}

// early is by how much sooner than usual a credential is due that was fetched
// out of its time, in whole seconds: what starts together, or is fetched together
// when WeChat is back, would otherwise be renewed together for ever. Those of one
// account or two are not. The one who fetched chooses, all others read it in the
// record. spread (0 to 1) says where this one stands.
func early(life time.Duration, kept int, spread float64) time.Duration {
	most := min(dueAfter(life, 0)/2, time.Duration(kept)*scatterEvery)
	return time.Duration(spread * float64(most)).Truncate(time.Second)
}

// onTime reports whether a renewal now is the one that was planned, by its age
// alone.
func (m *memory) onTime(wall clock) bool {
	if !m.live(wall) || m.record.Doubt > 0 || m.isRejected() {
		return false
	}
	due := m.dueIn(wall, 0)
	return due <= 0 && due > -lateAfter
}

// lateAfter is how long after its time a renewal is one of many that had to wait.
const lateAfter = time.Minute

// earlyOf is a record's.
func earlyOf(r *memcache.Record) time.Duration { return time.Duration(r.Early) * time.Second }
