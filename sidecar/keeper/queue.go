package keeper

import (
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// What nobody waits for queues, so that a start with thousands of accounts is
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
	// crowdMost is how long a sidecar keeps away at the most where the fleet has
	// called so often in this second already.
	crowdMost = 10 * time.Second
	// scatterEvery is how far apart two accounts are renewed that were fetched
	// together: 200 a minute.
	scatterEvery = 300 * time.Millisecond
)

// queue holds the renewals that nobody waits for until one of a few goroutines
// takes them: there may be ten thousand.
type queue struct {
	due, late, cold []*flight // what cannot wait; what else there is a live token for; what there is none for
	workers         int       // goroutines that take from it
	next            time.Time // when the last one that has its time may begin
	crowded         time.Time // none of a herd may begin before: the fleet calls often enough
}

// take is the first that is still in the queue: what cannot wait, a doubt say, before
// what is late already, and that before what there is no token for: it is missed by
// nobody, or awaited. Nil when there is none.
func (q *queue) take() *flight {
	for _, line := range []*[]*flight{&q.due, &q.late, &q.cold} {
		for len(*line) > 0 {
			f := (*line)[0]
			(*line)[0] = nil
			*line = (*line)[1:]
			if f.queued {
				f.queued = false
				return f
			}
		}
	}
	return nil
}

// enqueue has the flight run when its turn comes, or at once where somebody waits
// for it already. It reports false when the sidecar is stopping.
func (g *Group) enqueue(f *flight, live bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopping {
		return false
	}
	if f.isAwaited() {
		g.work.Go(func() { f.fly(g.ctx) })
		return true
	}
	f.queued = true
	switch {
	case f.urgent:
		g.queue.due = append(g.queue.due, f)
	case live:
		g.queue.late = append(g.queue.late, f)
	default:
		g.queue.cold = append(g.queue.cold, f)
	}
	if g.queue.workers < renewals {
		g.queue.workers++
		g.work.Go(g.serve)
	}
	return true
}

// hurry runs a flight at once that is still in the queue: somebody waits for it.
func (g *Group) hurry(f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.queued && !g.stopping { // else one of those who empty the queue tells its end
		f.queued = false
		g.work.Go(func() { f.fly(g.ctx) })
	}
}

// serve runs what is in the queue until it is empty.
func (g *Group) serve() {
	for {
		g.mu.Lock()
		f := g.queue.take()
		if f == nil {
			g.queue.workers--
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		f.fly(g.ctx)
	}
}

// rest is what comes after a look: it tells how far a start is, and lets
// connections go when the renewals that opened them are over.
func (g *Group) rest() {
	g.tellProgress()
	g.mu.Lock()
	idle := g.queue.workers == 0
	g.mu.Unlock()
	if idle {
		g.cfg.Store.Trim()
	}
}

// pace keeps two calls of this sidecar to WeChat apart, unless somebody waits for
// this one, and keeps one of a herd away where the fleet has no room. It reports
// false once the sidecar is stopping.
func (g *Group) pace(f *flight) bool {
	for !f.isAwaited() {
		if away := g.away(f); away > 0 {
			if !g.sleep(f, away) {
				return false
			}
			continue
		}
		if !g.sleep(f, g.reserve()) {
			return false
		}
		if g.away(f) == 0 { // else another was refused meanwhile
			break
		}
	}
	return true
}

// sleep waits, unless somebody waits for the flight. It reports false once the
// sidecar is stopping.
func (g *Group) sleep(f *flight, wait time.Duration) bool {
	if wait > 0 { // a timer that is due at once, in many goroutines at a time, crashes go1.26's race detector under synctest
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-f.awaited:
		case <-g.closing:
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.stopping
}

// reserve is how long it is until the next call may begin that nobody waits for.
func (g *Group) reserve() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if saved := now.Add(-paceFirst * paceEvery); g.queue.next.Before(saved) {
		g.queue.next = saved
	}
	g.queue.next = g.queue.next.Add(paceEvery)
	return g.queue.next.Sub(now)
}

// away is for how long the fleet has no room for one of a herd.
func (g *Group) away(f *flight) time.Duration {
	g.mu.Lock()
	away := time.Until(g.queue.crowded)
	g.mu.Unlock()
	if away <= 0 || !f.of.herds(f.rejected) {
		return 0
	}
	return away
}

// errCrowded: the fleet calls WeChat often enough, and nobody waits for this call.
var errCrowded = errors.New("the fleet has made 50 calls to WeChat in this second")

// admit asks the fleet for room for one more call, where it may be one of a herd:
// all sidecars together make 50 in a second of memcached's clock. A token is asked
// for under its lease, so by one sidecar. The more have asked in vain, the longer this
// one keeps away: a hundred times as many sidecars ask ten times as often.
// Where memcached cannot say, the sidecar's own pace must do.
func (c *credential) admit(rejected string) error {
	if !c.herds(rejected) {
		return nil
	}
	n, err := c.Store.CountSecond("pace")
	if err != nil || n <= int(paceFirst) {
		return nil //nolint:nilerr // see above
	}
	c.house.keepAway(min(crowdMost, time.Duration(n-int(paceFirst))*paceEvery))
	return errCrowded
}

// keepAway lets nothing of a herd begin for up to most.
func (g *Group) keepAway(most time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); !now.Before(g.queue.crowded) { // who was refused first in this sidecar says
		g.queue.crowded = now.Add(time.Duration(g.cfg.Rand() * float64(most)))
	}
}

// herds reports whether a renewal may be one of very many at once, and can wait.
// Those of a few accounts never are, nor are planned ones, which are scattered: they
// cost memcached no further request. One that has waited for longer than a start with
// all these accounts takes waits no more: whatever memcached counts there, or somebody
// has written by hand, ends no renewal.
func (c *credential) herds(rejected string) bool {
	kept := c.house.kept()
	if kept <= int(paceFirst) || rejected != "" {
		return false
	}
	patience := time.Minute + 2*time.Duration(kept)*paceEvery
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.flight
	return f != nil && !f.planned && !f.isAwaited() && time.Since(f.since) < patience && c.mem.canWait(c.Wall)
}

// canWait reports whether it matters little when a renewal comes: there is no token,
// and nobody has missed it; or it is overdue since an outage, and the token lives
// for a while yet.
func (m *memory) canWait(wall clock) bool {
	if !m.live(wall) {
		return true
	}
	return m.record.Doubt == 0 && !m.isRejected() && m.left(wall) > grace+margin(m.record.Life())
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
