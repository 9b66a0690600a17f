package sim

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// duels stop a sidecar in the middle of a renewal until another has taken over,
// and sometimes kill that one in the middle too.
func duels(ctx context.Context, w *world, until time.Time) {
	until = until.Add(time.Hour) // at least one renewal
	for time.Now().Before(until) {
		first := w.caller(ctx, until, nil)
		if first == nil {
			return
		}
		end := w.judge.begin(podTrouble)
		first.pause()
		sleep(ctx, w.seconds(15, 17))
		if second := w.caller(ctx, time.Now().Add(20*time.Second), first); second != nil && w.flip() {
			second.end(true)
			sleep(ctx, w.seconds(0, 3))
			first.resume()
			second.start()
		}
		sleep(ctx, w.seconds(0, 20))
		first.resume()
		sleep(ctx, pollBound)
		end()
		sleep(ctx, 10*time.Minute) // a new budget: each duel costs two or three calls
	}
}

// ambushes stop a sidecar at a step of a renewal, until its lease has expired.
func ambushes(ctx context.Context, w *world, until time.Time) {
	until = until.Add(time.Hour) // at least one renewal
	for time.Now().Before(until) {
		w.untilDue(ctx)
		end := w.judge.begin(podTrouble)
		// A step may come more than once in a renewal: a claim writes the record too.
		if p := w.catchLater(ctx, 2*time.Minute, w.between(0, 1), steps[w.between(0, len(steps)-1)]); p != nil {
			sleep(ctx, w.seconds(12, 45))
			p.resume()
		}
		sleep(ctx, pollBound)
		end()
		sleep(ctx, 5*time.Minute)
	}
}

// sleepers stop a sidecar just before it gives its lease back, and let it go on
// in the middle of another's renewal.
func sleepers(ctx context.Context, w *world, _ time.Time) {
	w.untilDue(ctx)
	first := w.catch(ctx, 2*time.Minute, "cas "+appID+":lease", "delete "+appID+":lease")
	if first == nil {
		return
	}
	defer w.slowCalls(5 * time.Second)()
	if w.caller(ctx, time.Now().Add(2*time.Hour), first) != nil {
		first.resume()
	}
	sleep(ctx, 20*time.Second)
	first.resume()
	sleep(ctx, pollBound)
}

// overtaken loses the lease of a sidecar in the middle of its call, so that
// another calls too. Either that one is killed before it writes, so that the
// first could still write although its token is not the last one; or that one
// renews, and the first one's token is issued after it.
func overtaken(ctx context.Context, w *world, _ time.Time) {
	killed := w.flip()
	var calls atomic.Int32
	w.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
		w.judge.received(r)
		if isTicket(r.API) {
			return wechattest.Answer{}
		}
		switch n := calls.Add(1); {
		case n == 1 && killed:
			return wechattest.Answer{Delay: 10 * time.Millisecond, DelayAfter: 4800 * time.Millisecond}
		case n == 1:
			return wechattest.Answer{Delay: 4800 * time.Millisecond}
		case n == 2 && killed:
			return wechattest.Answer{DelayAfter: 4 * time.Second}
		}
		return wechattest.Answer{}
	})
	defer w.wechat.OnRequest(w.normalAnswer)
	w.untilDue(ctx)
	end := w.judge.begin(podTrouble)
	defer end()
	first := w.caller(ctx, time.Now().Add(2*time.Minute), nil)
	if first == nil {
		return
	}
	w.judge.leaseIsTaken()
	w.memcached.Evict(appID + ":lease")
	if second := w.caller(ctx, time.Now().Add(4*time.Second), first); second != nil && killed {
		sleep(ctx, 100*time.Millisecond)
		second.end(true)
		sleep(ctx, time.Minute)
		second.start()
	}
	sleep(ctx, 7*time.Minute)
}

// catch waits until a sidecar is about to take one of these steps and stops it
// there; nil when none did in time.
func (w *world) catch(ctx context.Context, limit time.Duration, steps ...string) *pod {
	return w.catchLater(ctx, limit, 0, steps...)
}

// catchLater lets so many such steps pass before it stops a sidecar.
func (w *world) catchLater(ctx context.Context, limit time.Duration, skip int, steps ...string) *pod {
	t := &trap{before: steps, caught: make(chan *pod, 1)}
	t.skip.Store(int32(skip))
	if !w.trap.CompareAndSwap(nil, t) {
		return nil
	}
	defer w.trap.CompareAndSwap(t, nil)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case p := <-t.caught:
		return p
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// caller waits for a sidecar other than this one that is calling WeChat.
func (w *world) caller(ctx context.Context, until time.Time, other *pod) *pod {
	for time.Now().Before(until) && sleep(ctx, 20*time.Millisecond) {
		for _, p := range w.pods {
			p.mu.Lock()
			calling := p.calling > 0 && !p.stopped
			p.mu.Unlock()
			if calling && p != other {
				return p
			}
		}
	}
	return nil
}

// duringACall waits until the sidecar is about to call WeChat or is calling.
func (w *world) duringACall(ctx context.Context, p *pod, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, 20*time.Millisecond) {
		p.mu.Lock()
		calling := p.calling > 0
		p.mu.Unlock()
		if calling {
			return
		}
	}
}

// steps are what a sidecar writes in a renewal.
var steps = []string{
	"gets " + recordKey, "gets " + leaseKey, "add " + leaseKey, "incr ",
	"add " + plannedKey, "add " + budgetKey, "call", "cas " + recordKey, "cas " + appID + " ",
	"cas " + leaseKey,
}

// emptied restarts memcached just after a renewal that only one sidecar has seen.
func emptied(ctx context.Context, w *world, _ time.Time) {
	w.untilDue(ctx)
	before := len(w.wechat.Issued())
	for range 60_000 {
		if len(w.wechat.Issued()) > before || !sleep(ctx, 10*time.Millisecond) {
			break
		}
	}
	sleep(ctx, w.seconds(0, 12))
	end := w.judge.begin(memcachedTrouble)
	w.memcached.Restart()
	sleep(ctx, 2*pollBound)
	end()
}
