package sim

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// failingPods keep one pod of five, or two, from WeChat: their node is not on the
// whitelist, or has no route. The others renew within one poll.
func failingPods(ctx context.Context, w *world, until time.Time) {
	faults := []wechatFault{offWhitelist, noRoute, dialTimesOut}
	until = until.Add(time.Hour) // at least one renewal
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 300)) {
		end := w.judge.begin(onePodTrouble)
		var failing []*pod
		for range w.between(1, 2) {
			already := slices.DeleteFunc(slices.Clone(w.pods), func(p *pod) bool { return p.fault.Load() == nil })
			if p := w.anyPod(); len(already) < 2 && !slices.Contains(already, p) { // the same episode may go on twice
				p.failWeChat(faults[w.between(0, len(faults)-1)])
				failing = append(failing, p)
			}
		}
		sleep(ctx, w.seconds(60, 4000))
		for _, p := range failing {
			p.reachWeChat()
		}
		sleep(ctx, time.Minute)
		end()
	}
}

// refusedWrites have memcached refuse one command that writes, or several, as one
// without memory does, and some proxies. Reads go on.
func refusedWrites(ctx context.Context, w *world, until time.Time) {
	sets := [][]string{{"cas"}, {"add"}, {"incr"}, {"add", "cas"}, {"delete"}, nil}
	until = until.Add(time.Hour) // at least one renewal
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 600)) {
		end := w.judge.begin(verbTrouble)
		w.refuse(memcachetest.ServerError, sets[w.between(0, len(sets)-1)]...)
		sleep(ctx, w.seconds(30, 4000))
		w.allow()
		sleep(ctx, 2*pollBound)
		end()
	}
}

// refuse makes memcached refuse these commands; all that write if none is named.
func (w *world) refuse(fault memcachetest.Fault, verbs ...string) {
	w.fail(func(c memcachetest.Command) memcachetest.Fault {
		switch c.Verb {
		case "get", "gets", "version":
			return memcachetest.None
		}
		if len(verbs) == 0 || strings.Contains(" "+strings.Join(verbs, " ")+" ", " "+c.Verb+" ") {
			return fault
		}
		return memcachetest.None
	})
	if len(verbs) == 0 || slices.Contains(verbs, "cas") {
		w.judge.refuses(time.Now())
	}
}

func (w *world) allow() { w.fail(nil) }

// fail makes memcached fail as hook says. It takes the place of all that another episode
// had it refuse.
func (w *world) fail(hook func(memcachetest.Command) memcachetest.Fault) {
	w.judge.refuses(time.Time{})
	w.memcached.OnCommand(hook)
}

// refuses notes since when memcached refuses cas; never, if zero.
func (j *judge) refuses(since time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refusing = since
}

// slowTimes have memcached and WeChat take their time, within what the sidecars
// wait for. Nothing is excused for it.
func slowTimes(ctx context.Context, w *world, until time.Time) {
	until = until.Add(time.Hour) // at least one renewal
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 300)) {
		w.slowMemcached.Store(int64(w.seconds(0, 1) / 20))
		if w.alone { // else the two delays could add up to a time-out
			w.slowWeChat.Store(int64(w.seconds(0, 4)))
		}
		sleep(ctx, w.seconds(300, 4000))
		w.slowMemcached.Store(0)
		w.slowWeChat.Store(0)
	}
}

// clocksApart set the wall clocks of one or two pods minutes off, or hours, and
// back again.
func clocksApart(ctx context.Context, w *world, until time.Time) {
	until = until.Add(time.Hour) // at least one renewal
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 300)) {
		endIn := w.judge.beginLong(clockTrouble)
		moved := map[*pod]time.Duration{}
		for range w.between(1, 2) {
			by := w.seconds(5, 1200)
			if w.between(0, 3) == 0 {
				by = w.seconds(1800, 3*3600)
			}
			if w.flip() {
				by = -by
			}
			p := w.anyPod()
			p.skew.Add(int64(by))
			moved[p] += by
		}
		sleep(ctx, w.seconds(300, 5000))
		for p, by := range moved {
			p.skew.Add(-int64(by))
		}
		endIn(time.Hour) // the record that such a clock dated goes on for as long
	}
}
