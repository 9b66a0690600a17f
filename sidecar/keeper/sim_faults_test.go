package keeper_test

import (
	"context"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// episode is a stretch of time in which things go wrong in one way, or in all.
type episode func(ctx context.Context, w *world, until time.Time)

var episodes = []episode{
	pauses, kills, restarts, memcachedFaults, memcachedLosses, wechatErrors, wechatBroken, strangers, cuts, rotations,
	duels, sleepers, amnesia,
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

// sleepers stop a sidecar just after its renewal, before it gives its lease
// back, and let it go on in the middle of another's.
func sleepers(ctx context.Context, w *world, until time.Time) {
	first := w.caller(ctx, until.Add(time.Hour), nil)
	if first == nil {
		return
	}
	end := w.judge.begin(podTrouble)
	before, _ := w.memcached.Peek(simAppID + ":record")
	written := false
	for range 20_000 { // a call takes 80 ms
		if item, _ := w.memcached.Peek(simAppID + ":record"); item.Value != before.Value {
			written = true
			break
		}
		sleep(ctx, 10*time.Microsecond)
	}
	first.pause()
	end()
	if written {
		w.caller(ctx, time.Now().Add(2*time.Hour), first)
	}
	first.resume()
	sleep(ctx, lookBound)
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
		w.wechat.FailAll(codes[w.between(0, len(codes)-1)])
		sleep(ctx, w.seconds(10, 6000))
		w.wechat.Heal()
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
	w.wechat.OnCall(func(c wechattest.Call) wechattest.Answer {
		w.judge.called(c)
		return wechattest.Answer{}
	})
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
