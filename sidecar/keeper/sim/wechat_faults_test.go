package sim

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

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
	w.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
		w.judge.received(r)
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
	w.wechat.OnRequest(w.normalAnswer)
	sleep(ctx, 2*time.Minute)
	end()
}

// lostAnswers loses the answer to one call that a report caused: the token is
// not due by its age, so that nothing but the doubt heals it.
func lostAnswers(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(60, 300)) {
		end := w.judge.begin(podTrouble)
		kinds := []wechattest.Kind{wechattest.IssuedHang, wechattest.IssuedNoAnswer, wechattest.IssuedServerError, wechattest.TruncatedJSON, wechattest.ZeroExpires}
		answer := wechattest.Answer{Kind: kinds[w.between(0, len(kinds)-1)], Delay: w.seconds(0, 50), Late: true}
		var lost atomic.Bool
		w.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
			w.judge.received(r)
			if !isTicket(r.API) && lost.CompareAndSwap(false, true) {
				return answer
			}
			return wechattest.Answer{}
		})
		w.report(ctx)
		sleep(ctx, 10*time.Minute)
		w.wechat.OnRequest(w.normalAnswer)
		end()
	}
}

// outages keep WeChat down from before a renewal is due until its token has expired.
func outages(ctx context.Context, w *world, _ time.Time) {
	w.untilDue(ctx)
	end := w.judge.begin(wechatTrouble)
	w.failing.Store(int32(-1))
	sleep(ctx, w.seconds(3000, 4200))
	w.failing.Store(0)
	sleep(ctx, 2*time.Minute)
	end()
}

// rotations change the AppSecret at WeChat first and in the sidecars later.
func rotations(ctx context.Context, w *world, until time.Time) {
	for n := 0; time.Now().Before(until) && sleep(ctx, w.seconds(60, 1800)); n++ {
		end := w.judge.begin(wechatTrouble)
		secret := secret + string(rune('a'+n%26))
		w.wechat.SetSecret(appID, secret)
		w.report(ctx)
		sleep(ctx, w.seconds(0, 300))
		w.mu.Lock()
		w.haveSecret = secret
		w.mu.Unlock()
		sleep(ctx, 2*time.Minute)
		end()
	}
}

// externalFetches fetch tokens beside the fleet, as legacy programs do. About half
// are written into the entry.
func externalFetches(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(30, 900)) {
		end := w.judge.begin(externalTrouble)
		token := w.wechat.FetchExternally(appID)
		if w.flip() {
			w.memcached.Put(appID, token, 0, 3600)
		}
		sleep(ctx, graceTime+2*time.Minute)
		end()
	}
}

// mistakenReports are those of an app whose request WeChat refuses with every token. All
// of them together cost one renewal.
func mistakenReports(ctx context.Context, w *world, until time.Time) {
	end := w.judge.begin(externalTrouble)
	defer end()
	from, before := time.Now(), w.wechat.Issues(appID)
	for time.Now().Before(until) && sleep(ctx, w.seconds(2, 60)) {
		w.report(ctx)
	}
	w.judge.mistaken(from, w.wechat.Issues(appID)-before, w.alone)
}

// report reports the current token as refused, true or not. The first report in ten
// minutes makes a renewal.
func (w *world) report(ctx context.Context) {
	p := w.anyPod()
	if token, err := p.client.AccessToken(ctx); err == nil {
		w.judge.falselyReported(token)
		if _, err := p.client.Refresh(ctx, token); err != nil {
			w.clean(err)
		}
	}
}

// slowCalls has WeChat take its time, within what calls allow.
func (w *world) slowCalls(d time.Duration) (restore func()) {
	w.wechat.OnRequest(func(r wechattest.Request) wechattest.Answer {
		w.judge.received(r)
		return wechattest.Answer{Delay: d - 300*time.Millisecond, DelayAfter: 200 * time.Millisecond}
	})
	return func() { w.wechat.OnRequest(w.normalAnswer) }
}

func (w *world) normalAnswer(r wechattest.Request) wechattest.Answer {
	w.judge.received(r)
	errcode := int(w.failing.Load())
	w.judge.refused(errcode)
	return wechattest.Answer{Errcode: errcode, Delay: 40 * time.Millisecond, DelayAfter: 40 * time.Millisecond}
}

// checkAnswer answers a check of a token.
func (w *world) checkAnswer(int) wechattest.Answer {
	return wechattest.Answer{Errcode: int(w.failing.Load()), Delay: 80 * time.Millisecond}
}
