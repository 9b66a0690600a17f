package sim

import (
	"context"
	"strconv"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// pauses stops sidecars as SIGSTOP does, often while they are renewing: a
// renewal is provoked by what makes one due.
func pauses(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 300)) {
		p := w.anyPod()
		end := w.judge.begin(podTrouble)
		if w.flip() {
			w.duringACall(ctx, p, until)
		}
		p.pause()
		sleep(ctx, w.seconds(1, 120))
		p.resume()
		sleep(ctx, pollBound)
		end()
	}
}

// kills ends sidecars as SIGKILL does and starts them again.
func kills(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 300)) {
		p := w.anyPod()
		end := w.judge.begin(podTrouble)
		p.end(true)
		sleep(ctx, w.seconds(0, 120))
		p.start()
		sleep(ctx, pollBound)
		end()
	}
}

// restarts ends sidecars as SIGTERM does, one after the other.
func restarts(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 600)) {
		end := w.judge.begin(podTrouble)
		for _, p := range w.pods {
			p.end(false)
			sleep(ctx, w.seconds(0, 10))
			p.start()
			sleep(ctx, w.seconds(0, 20))
		}
		sleep(ctx, pollBound)
		end()
	}
}

// cuts separate one pod from memcached.
func cuts(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 300)) {
		p := w.anyPod()
		end, endPod := w.judge.begin(memcachedTrouble), w.judge.begin(podTrouble)
		p.cut.Store(true)
		sleep(ctx, w.seconds(10, 3000))
		p.cut.Store(false)
		sleep(ctx, 2*pollBound)
		end()
		endPod()
	}
}

// coldStarts start all sidecars at once with an empty memcached that takes its
// time.
func coldStarts(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(600, 1200)) {
		end := w.judge.begin(podTrouble)
		for _, p := range w.pods {
			p.end(true)
		}
		w.memcached.Flush()
		sleep(ctx, time.Minute)
		end()
		sleep(ctx, 17*time.Second)
		w.memcached.SetDelay(w.seconds(0, 1) / 20)
		w.memcached.SetFault(memcachetest.Slow)
		restore := w.slowCalls(2 * time.Second)
		if w.flip() { // one of them is slow to take the lease
			go func() {
				if p := w.catch(ctx, 5*time.Second, appID+":lease 0 15 "); p != nil {
					sleep(ctx, w.seconds(0, 2))
					p.resume()
				}
			}()
		}
		for _, p := range w.pods {
			p.start()
		}
		sleep(ctx, time.Minute)
		restore()
		w.memcached.SetFault(memcachetest.None)
	}
}

// shakyStarts start sidecars, which remember nothing, while memcached fails now
// and then.
func shakyStarts(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 100)) {
		end, endPod := w.judge.begin(memcachedTrouble), w.judge.begin(podTrouble)
		p := w.anyPod()
		p.end(true)
		w.fail(func(memcachetest.Command) memcachetest.Fault {
			if w.flip() {
				return memcachetest.None
			}
			return memcachedKinds[w.between(0, len(memcachedKinds)-1)]
		})
		p.start()
		sleep(ctx, w.seconds(5, 30))
		w.fail(nil)
		sleep(ctx, 2*pollBound)
		end()
		endPod()
	}
}

// amnesia lets one sidecar sleep while everything that it remembers is forgotten
// and begun anew.
func amnesia(ctx context.Context, w *world, _ time.Time) {
	sleeper := w.pods[0]
	end, endPod := w.judge.begin(memcachedTrouble), w.judge.begin(podTrouble)
	sleeper.pause()
	for _, p := range w.pods[1:] {
		p.end(true)
	}
	before, _ := strconv.Atoi(w.field("number"))
	ahead := int64(before) > time.Now().UnixMilli() // of a clock that was
	w.memcached.Flush()
	sleep(ctx, 30*time.Second)
	end()
	endPod()
	sleep(ctx, 25*time.Second)
	for _, p := range w.pods[1:] {
		p.start()
	}
	sleep(ctx, w.seconds(60, 1200))
	// If its number was ahead, the sleeper puts its token back, in doubt: rule 9 of the claim.
	if now, _ := strconv.Atoi(w.field("number")); ahead && now <= before {
		w.judge.beginLong(numberTrouble)(pollBound)
	}
	sleeper.resume()
	sleep(ctx, 10*time.Minute)
}
