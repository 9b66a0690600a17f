package client

import (
	"sync/atomic"
	"time"
)

// How long calls pass over a failed memcached. The pause doubles with each probe.
const (
	firstPause = time.Second
	lastPause  = 10 * time.Second
)

// health remembers that a memcached server failed, so that not every call waits for
// its timeout. While it answers, a call costs one atomic load and no write.
//
//	A: get fails, outage until 1 s ──▶ B, C, D … until then: the sidecar at once
//	after 1 s   E: swaps in an outage until 2 s and asks memcached: the one probe
//	            F: loses the swap, or finds E's: the sidecar at once
//	            E: answered ─▶ no outage     E: failed ─▶ an outage twice as long
//
// An outage never changes. A call replaces it by compare-and-swap against the outage
// that it saw when it began. So of a hundred calls that fail together one counts, and
// a late success does not end an outage that began after it:
//
//	A: get ──▶ memcached answers …            (A is slow to read it)
//	B: get fails, outage
//	A: reads its answer; it saw no outage, so it ends none
type health struct {
	now atomic.Pointer[outage] // nil while memcached answers
}

type outage struct {
	until time.Time     // the next probe
	pause time.Duration // the length of this outage
	cause error
}

// enter reports whether to ask memcached, and returns the argument for leave.
func (h *health) enter() (seen *outage, ask bool) {
	seen = h.now.Load()
	if seen == nil {
		return nil, true
	}
	now := time.Now()
	if now.Before(seen.until) {
		return seen, false
	}
	probe := &outage{until: now.Add(seen.pause), pause: seen.pause, cause: seen.cause}
	return probe, h.now.CompareAndSwap(seen, probe)
}

// leave records the result: err is nil if memcached answered, even with a miss. It
// reports whether an outage began.
func (h *health) leave(seen *outage, err error) (began bool) {
	switch {
	case err != nil:
		pause := firstPause
		if seen != nil {
			pause = min(2*seen.pause, lastPause)
		}
		return h.now.CompareAndSwap(seen, &outage{until: time.Now().Add(pause), pause: pause, cause: err}) && seen == nil
	case seen != nil:
		h.now.CompareAndSwap(seen, nil)
	}
	return false
}
