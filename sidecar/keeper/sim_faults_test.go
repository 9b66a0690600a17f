package keeper_test

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// episode is a stretch of time in which things go wrong in one way, or in all.
type episode func(ctx context.Context, w *world, until time.Time)

var episodes = []episode{
	pauses, kills, restarts, memcachedFaults, memcachedLosses, wechatErrors, wechatBroken, strangers, cuts, rotations,
	duels, sleepers, amnesia, ambushes, lostAnswers, coldStarts, shakyStarts, outages, overtaken, emptied,
}

// days is the life of the simulated cluster: calm, then trouble, then calm.
func days(hours int) func(ctx context.Context, w *world) {
	return func(ctx context.Context, w *world) {
		end := time.Now().Add(time.Duration(hours) * time.Hour)
		for time.Now().Before(end) && sleep(ctx, w.seconds(20*60, 150*60)) {
			until := time.Now().Add(w.seconds(5*60, 60*60))
			if w.between(0, 3) > 0 || *simOnly >= 0 {
				w.episode()(ctx, w, until)
				continue
			}
			done := make(chan struct{}) // two at a time
			other := w.episode()
			go func() {
				defer close(done)
				other(ctx, w, until)
			}()
			w.episode()(ctx, w, until)
			<-done
		}
		sleep(ctx, 15*time.Minute)
	}
}

func (w *world) episode() episode {
	if *simOnly >= 0 {
		return episodes[*simOnly]
	}
	return episodes[w.between(0, len(episodes)-1)]
}

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
		sleep(ctx, lookBound)
		end()
	}
}

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
		sleep(ctx, lookBound)
		end()
	}
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

// catch waits until a sidecar is about to take one of these steps and stops it
// there; nil when none did in time.
func (w *world) catch(ctx context.Context, limit time.Duration, steps ...string) *pod {
	t := &trap{before: steps, caught: make(chan *pod, 1)}
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

// steps are what a sidecar writes in a renewal.
var steps = []string{
	"gets " + simAppID + ":record", "gets " + simAppID + ":lease", "add " + simAppID + ":lease", "incr ",
	"add " + simAppID + ":planned", "add " + simAppID + ":calls", "call", "cas " + simAppID + ":record", "cas " + simAppID + " ",
	"cas " + simAppID + ":lease",
}

// ambushes stop a sidecar at a step of a renewal, until its lease has lapsed.
func ambushes(ctx context.Context, w *world, until time.Time) {
	until = until.Add(time.Hour) // at least one renewal
	for time.Now().Before(until) {
		w.untilDue(ctx)
		end := w.judge.begin(podTrouble)
		if p := w.catch(ctx, 2*time.Minute, steps[w.between(0, len(steps)-1)]); p != nil {
			sleep(ctx, w.seconds(12, 45))
			p.resume()
		}
		sleep(ctx, lookBound)
		end()
		sleep(ctx, 5*time.Minute)
	}
}

// sleepers stop a sidecar just before it gives its lease back, and let it go on
// in the middle of another's renewal.
func sleepers(ctx context.Context, w *world, _ time.Time) {
	w.untilDue(ctx)
	first := w.catch(ctx, 2*time.Minute, "cas "+simAppID+":lease", "delete "+simAppID+":lease")
	if first == nil {
		return
	}
	defer w.slowCalls(5 * time.Second)()
	if w.caller(ctx, time.Now().Add(2*time.Hour), first) != nil {
		first.resume()
	}
	sleep(ctx, 20*time.Second)
	first.resume()
	sleep(ctx, lookBound)
}

// slowCalls has WeChat take its time, within what calls allow.
func (w *world) slowCalls(d time.Duration) (restore func()) {
	w.wechat.OnCall(func(c wechattest.Call) wechattest.Answer {
		w.judge.called(c)
		return wechattest.Answer{Delay: d - 300*time.Millisecond, DelayAfter: 200 * time.Millisecond}
	})
	return func() { w.wechat.OnCall(w.normalCall) }
}

func (w *world) normalCall(c wechattest.Call) wechattest.Answer {
	w.judge.called(c)
	return wechattest.Answer{Errcode: int(w.failing.Load()), Delay: 40 * time.Millisecond, DelayAfter: 40 * time.Millisecond}
}

// lostAnswers loses the answer to one call that a report caused: the token is
// not due by its age, so that nothing but the doubt heals it.
func lostAnswers(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(60, 300)) {
		end := w.judge.begin(podTrouble)
		kinds := []wechattest.Kind{wechattest.IssuedHang, wechattest.IssuedNoAnswer, wechattest.IssuedServerError, wechattest.TruncatedJSON, wechattest.ZeroExpires}
		answer := wechattest.Answer{Kind: kinds[w.between(0, len(kinds)-1)], Delay: w.seconds(0, 50), Late: true}
		var lost atomic.Bool
		w.wechat.OnCall(func(c wechattest.Call) wechattest.Answer {
			w.judge.called(c)
			if lost.CompareAndSwap(false, true) {
				return answer
			}
			return wechattest.Answer{}
		})
		w.report(ctx)
		sleep(ctx, 10*time.Minute)
		w.wechat.OnCall(w.normalCall)
		end()
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
				if p := w.catch(ctx, 5*time.Second, simAppID+":lease 0 15 "); p != nil {
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

// overtaken loses the lease of a sidecar in the middle of its call, so that
// another calls too. Either that one is killed before it writes, so that the
// first could still write although its token is not the last one; or that one
// renews, and the first one's token is issued after it.
func overtaken(ctx context.Context, w *world, _ time.Time) {
	killed := w.flip()
	var calls atomic.Int32
	w.wechat.OnCall(func(c wechattest.Call) wechattest.Answer {
		w.judge.called(c)
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
	defer w.wechat.OnCall(w.normalCall)
	w.untilDue(ctx)
	end := w.judge.begin(podTrouble)
	defer end()
	first := w.caller(ctx, time.Now().Add(2*time.Minute), nil)
	if first == nil {
		return
	}
	w.memcached.Evict(simAppID + ":lease")
	if second := w.caller(ctx, time.Now().Add(4*time.Second), first); second != nil && killed {
		sleep(ctx, 100*time.Millisecond)
		second.end(true)
		sleep(ctx, time.Minute)
		second.start()
	}
	sleep(ctx, 7*time.Minute)
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
	sleep(ctx, 2*lookBound)
	end()
}

// shakyStarts start sidecars, which remember nothing, while memcached fails now
// and then.
func shakyStarts(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 100)) {
		end, endPod := w.judge.begin(memcachedTrouble), w.judge.begin(podTrouble)
		p := w.anyPod()
		p.end(true)
		w.memcached.OnCommand(func(memcachetest.Command) memcachetest.Fault {
			if w.flip() {
				return memcachetest.None
			}
			return memcachedKinds[w.between(0, len(memcachedKinds)-1)]
		})
		p.start()
		sleep(ctx, w.seconds(5, 30))
		w.memcached.OnCommand(nil)
		sleep(ctx, 2*lookBound)
		end()
		endPod()
	}
}

// outages keep WeChat down from before a renewal is due until its token is dead.
func outages(ctx context.Context, w *world, _ time.Time) {
	w.untilDue(ctx)
	end := w.judge.begin(wechatTrouble)
	w.failing.Store(int32(-1))
	sleep(ctx, w.seconds(3000, 4200))
	w.failing.Store(0)
	sleep(ctx, 2*time.Minute)
	end()
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
	w.memcached.Flush()
	sleep(ctx, 30*time.Second)
	end()
	endPod()
	sleep(ctx, 25*time.Second)
	for _, p := range w.pods[1:] {
		p.start()
	}
	sleep(ctx, w.seconds(60, 1200))
	sleeper.resume()
	sleep(ctx, 10*time.Minute)
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

// kills ends sidecars as SIGKILL does and starts them again.
func kills(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 300)) {
		p := w.anyPod()
		end := w.judge.begin(podTrouble)
		p.end(true)
		sleep(ctx, w.seconds(0, 120))
		p.start()
		sleep(ctx, lookBound)
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
		sleep(ctx, lookBound)
		end()
	}
}

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
			w.memcached.OnCommand(func(memcachetest.Command) memcachetest.Fault {
				if w.between(0, 99) >= often {
					return memcachetest.None
				}
				return memcachedKinds[w.between(0, len(memcachedKinds)-1)]
			})
			sleep(ctx, w.seconds(30, 900))
			w.memcached.OnCommand(nil)
		}
		sleep(ctx, 2*lookBound)
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
			w.memcached.Put(simAppID, damage.value, damage.flags, 0)
		case 4:
			w.memcached.Put(simAppID+":record", `{"token":"`, 0, 100)
		}
		sleep(ctx, 2*lookBound)
		end()
	}
}

// wechatErrors makes WeChat refuse calls.
func wechatErrors(ctx context.Context, w *world, until time.Time) {
	codes := []int{-1, 40001, 40164, 45009, 45011, 40243, 89507, 61004, 50004}
	for time.Now().Before(until) && sleep(ctx, w.seconds(10, 300)) {
		end := w.judge.begin(wechatTrouble)
		w.failing.Store(int32(codes[w.between(0, len(codes)-1)]))
		sleep(ctx, w.seconds(10, 6000))
		w.failing.Store(0)
		sleep(ctx, time.Minute)
		end()
	}
}

// wechatBroken makes WeChat's answers slow, broken or lost. A renewal is
// provoked now and then, so that there are some.
func wechatBroken(ctx context.Context, w *world, until time.Time) {
	end := w.judge.begin(wechatTrouble)
	often := w.between(10, 90)
	w.wechat.OnCall(func(c wechattest.Call) wechattest.Answer {
		w.judge.called(c)
		if w.between(0, 99) >= often {
			return wechattest.Answer{}
		}
		answer := wechattest.Answer{Kind: wechattest.Kind(w.between(0, int(wechattest.ShortExpires)))}
		if w.flip() {
			answer.Delay, answer.Late = w.seconds(0, 50), true
		}
		return answer
	})
	for time.Now().Before(until) && sleep(ctx, w.seconds(100, 900)) {
		w.report(ctx)
	}
	w.wechat.OnCall(w.normalCall)
	sleep(ctx, 2*time.Minute)
	end()
}

// report reports the current token as refused, true or not: that makes a renewal.
func (w *world) report(ctx context.Context) {
	p := w.anyPod()
	if token, err := p.client.AccessToken(ctx); err == nil {
		w.judge.reported()
		if _, err := p.client.Refresh(ctx, token); err != nil {
			w.clean(err)
		}
	}
}

// strangers fetch tokens for themselves, as legacy programs do, and mostly write
// them into the entry.
func strangers(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(30, 900)) {
		end := w.judge.begin(strangerTrouble)
		token := w.wechat.Steal(simAppID)
		if w.flip() {
			w.memcached.Put(simAppID, token, 0, 3600)
		}
		sleep(ctx, graceTime+2*time.Minute)
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
		sleep(ctx, 2*lookBound)
		end()
		endPod()
	}
}

// rotations change the AppSecret at WeChat first and in the sidecars later.
func rotations(ctx context.Context, w *world, until time.Time) {
	for n := 0; time.Now().Before(until) && sleep(ctx, w.seconds(60, 1800)); n++ {
		end := w.judge.begin(wechatTrouble)
		secret := simSecret + string(rune('a'+n%26))
		w.wechat.SetSecret(simAppID, secret)
		w.report(ctx)
		sleep(ctx, w.seconds(0, 300))
		w.mu.Lock()
		w.haveSecret = secret
		w.mu.Unlock()
		sleep(ctx, 2*time.Minute)
		end()
	}
}
