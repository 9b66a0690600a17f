package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	// callersAtOnce report the same token at the same time.
	callersAtOnce = 16
	// longestPoll is the longest time between two polls of a sidecar.
	longestPoll = 15 * time.Second
)

// part is a point in time as a share of the script's length. If the script takes
// 30 s, the first renewal ahead of time comes at 10 s, before all of these.
type part float64

const (
	atExternalFetch part = 0.40
	atFlush         part = 0.57
	atReport        part = 0.70
)

func (p part) of(script time.Duration) time.Duration {
	return time.Duration(float64(p) * float64(script)).Truncate(100 * time.Millisecond)
}

// perform plays the acts of the script.
func (d *demo) perform(ctx context.Context, length time.Duration) error {
	slot, err := d.store.Slot(d.appID, memcache.AccessToken)
	if err != nil {
		return err
	}
	acts := []struct {
		at  part
		act func(context.Context, *memcache.Slot) error
	}{
		{0, d.firstToken},
		{atExternalFetch, d.externalFetch},
		{atFlush, d.flush},
		{atReport, d.report},
	}
	begin := time.Now()
	for _, a := range acts {
		if !wait(ctx, time.Until(begin.Add(a.at.of(length)))) {
			return nil
		}
		if err := a.act(ctx, slot); err != nil && ctx.Err() == nil {
			return err
		}
	}
	d.wechat.SetExpiresIn(laterTokenLife)
	d.say("script", "from the next renewal on, tokens last %s", laterTokenLife)
	return nil
}

// awaitEntry waits until memcached has a token that ok accepts. It returns "" if ctx
// ends, or the time runs out.
func awaitEntry(ctx context.Context, slot *memcache.Slot, within time.Duration, ok func(token string) bool) string {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		if token, missing := slot.Get(); missing == nil && ok(token) {
			return token
		}
		if !wait(ctx, 5*time.Millisecond) {
			return ""
		}
	}
}

func anyToken(string) bool { return true }

// firstToken waits for the first token.
func (d *demo) firstToken(ctx context.Context, slot *memcache.Slot) error {
	if token := awaitEntry(ctx, slot, time.Minute, anyToken); token != "" {
		d.say("memcached", "has %s under %s%s", memcache.Fingerprint(token), d.prefix, d.appID)
	}
	return nil
}

// externalFetch fetches a token past the sidecars, which invalidates theirs, and
// writes it into memcached.
func (d *demo) externalFetch(ctx context.Context, slot *memcache.Slot) error {
	before := d.requests()
	old, err := d.apps[0].client.AccessToken(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	external := d.wechat.FetchExternally(d.appID)
	d.causes = append(d.causes, begin)
	d.say("external", "a program with the AppSecret fetches %s, invalidates %s and writes its own into memcached",
		memcache.Fingerprint(external), memcache.Fingerprint(old))
	if err := d.command(ctx, fmt.Sprintf("set %s%s 0 %d %d\r\n%s\r\n", d.prefix, d.appID,
		int(tokenLife.Seconds()), len(external), external), "STORED"); err != nil {
		return err
	}
	repaired, ok := d.awaitRepair(ctx, old, external)
	if !ok {
		return nil
	}
	d.say("script", "both sidecars answer %s, %s after the fetch", memcache.Fingerprint(repaired), since(begin))
	found := awaitEntry(ctx, slot, longestPoll, func(token string) bool { return token == repaired })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.claim(found != "", "an external token in memcached is replaced within one poll")
	d.say("memcached", "has %s, %s after the fetch", memcache.Fingerprint(repaired), since(begin))
	d.claim(d.requests()-before == 1, "an external fetch costs one request")
	return nil
}

// awaitRepair waits until both sidecars answer with a token that is neither the old
// nor the external one. Each polls every 10 to 15 s, and when it is asked.
func (d *demo) awaitRepair(ctx context.Context, old, external string) (repaired string, ok bool) {
	for _, one := range d.sidecars {
		for {
			token, err := one.Token(ctx, d.appID)
			if err == nil && token != old && token != external {
				repaired = token
				break
			}
			if !wait(ctx, 100*time.Millisecond) {
				return "", false
			}
		}
	}
	return repaired, true
}

// flush empties memcached.
func (d *demo) flush(ctx context.Context, slot *memcache.Slot) error {
	before, begin := d.requests(), time.Now()
	if d.own != nil {
		d.own.Restart()
		d.say("memcached", "restarts: all connections are cut, all entries are lost")
	} else {
		for _, suffix := range []string{"", ":record", ":lease", ":report_throttle"} {
			if err := d.command(ctx, "delete "+d.prefix+d.appID+suffix+"\r\n", ""); err != nil {
				return err
			}
		}
		d.say("memcached", "loses all keys of the demo")
	}
	if token := awaitEntry(ctx, slot, time.Minute, anyToken); token != "" {
		requests := d.requests() - before
		d.say("memcached", "has %s again after %s, with %d requests to WeChat", memcache.Fingerprint(token), since(begin), requests)
		d.claim(requests == 0, "an empty memcached is filled again without a request")
	}
	return nil
}

// report lets many callers report one token at once.
func (d *demo) report(ctx context.Context, _ *memcache.Slot) error {
	before := d.requests()
	old, err := d.apps[0].client.AccessToken(ctx)
	if err != nil {
		return err
	}
	var callers []*app // not the apps that read: those continue
	for _, one := range d.sidecars {
		caller, err := newApp(d, "caller", "http://"+one.API.String())
		if err != nil {
			return err
		}
		defer caller.close()
		callers = append(callers, caller)
	}
	d.causes = append(d.causes, time.Now())
	d.say("script", "%d callers at both sidecars report at once that WeChat refused %s", callersAtOnce, memcache.Fingerprint(old))
	var mu sync.Mutex // guards got and failed
	got, failed := map[string]bool{}, error(nil)
	var calling sync.WaitGroup
	for i := range callersAtOnce {
		calling.Go(func() {
			token, err := callers[i%len(callers)].client.Refresh(ctx, old)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				return
			}
			got[token] = true
		})
	}
	calling.Wait()
	if ended := errors.Join(failed, ctx.Err()); ended != nil {
		return ended
	}
	requests := d.requests() - before
	d.say("script", "all callers got %d new token, with %d request to WeChat", len(got), requests)
	d.claim(len(got) == 1 && !got[old] && requests == 1, "many reports of one token cost one request")
	return nil
}

// announce prints a request of the demo's account to WeChat.
func (d *demo) announce(request wechattest.Request) wechattest.Answer {
	if request.AppID == d.appID {
		d.say("WeChat", "request %d of all sidecars together", d.requests())
	}
	return wechattest.Answer{}
}

// requests returns how many requests WeChat got for the demo's account.
func (d *demo) requests() int { return d.wechat.Requests(d.appID, "") }

// claim notes a claim that does not hold.
func (d *demo) claim(holds bool, text string) {
	if !holds {
		d.broken = append(d.broken, text)
		d.say("script", "THIS DID NOT HOLD: %s", text)
	}
}

// wait waits. It returns false if ctx ends before.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }
