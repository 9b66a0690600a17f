package sim

import (
	"context"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

var memcachedKinds = []memcachetest.Fault{
	memcachetest.Refuse, memcachetest.Hang, memcachetest.HangAfter, memcachetest.DropBefore, memcachetest.DropAfter,
	memcachetest.DropMid, memcachetest.ServerError, memcachetest.Slow,
}

// memcachedFaults makes memcached fail wholly for a while, or now and then.
func memcachedFaults(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 300)) {
		end := w.judge.begin(memcachedTrouble)
		w.memcached.SetDelay(w.seconds(0, 1))
		if w.flip() {
			w.memcached.SetFault(memcachedKinds[w.between(0, len(memcachedKinds)-1)])
			sleep(ctx, w.seconds(1, 900))
			w.memcached.SetFault(memcachetest.None)
		} else {
			often := w.between(1, 30)
			w.fail(func(memcachetest.Command) memcachetest.Fault {
				if w.between(0, 99) >= often {
					return memcachetest.None
				}
				return memcachedKinds[w.between(0, len(memcachedKinds)-1)]
			})
			sleep(ctx, w.seconds(30, 900))
			w.fail(nil)
		}
		sleep(ctx, 2*pollBound)
		end()
	}
}

var damages = []struct {
	value string
	flags uint32
}{{"N;", 1}, {"", 0}, {"with space", 0}, {"x\r\ny", 0}, {"zlib", 2}}

// memcachedLosses empties memcached, evicts keys, and writes nonsense.
func memcachedLosses(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(5, 200)) {
		end := w.judge.begin(memcachedTrouble)
		if w.between(0, 4) == 0 {
			w.duringACall(ctx, w.anyPod(), until)
		}
		switch w.between(0, 4) {
		case 0:
			w.memcached.Flush()
		case 1:
			w.memcached.Restart()
		case 2:
			if keys := w.memcached.Keys(); len(keys) > 0 {
				w.memcached.Evict(keys[w.between(0, len(keys)-1)])
			}
		case 3:
			damage := damages[w.between(0, len(damages)-1)]
			w.memcached.Put(appID, damage.value, damage.flags, 0)
		case 4:
			w.memcached.Put(appID+":record", `{"token":"`, 0, 100)
		}
		sleep(ctx, 2*pollBound)
		end()
	}
}
