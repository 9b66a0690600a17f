package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// callersAtOnce report a rejected token in the same moment.
const callersAtOnce = 16

// oneLook is the longest time between two looks of a sidecar.
const oneLook = 15 * time.Second

// part is when something happens, as a part of the script's time. In thirty
// seconds the first renewal ahead of time comes before all of them, at 10 s.
type part float64

const (
	atTheft  part = 0.40
	atFlush  part = 0.57
	atReport part = 0.70
)

func (p part) of(script time.Duration) time.Duration {
	return time.Duration(float64(p) * float64(script)).Truncate(100 * time.Millisecond)
}

// perform does to the world what production does.
func (d *demo) perform(ctx context.Context, length time.Duration) error {
	acts := []struct {
		at  part
		act func(context.Context) error
	}{
		{0, d.birth},
		{atTheft, d.theft},
		{atFlush, d.flush},
		{atReport, d.report},
	}
	begin := time.Now()
	for _, a := range acts {
		if !wait(ctx, time.Until(begin.Add(a.at.of(length)))) {
			return nil
		}
		if err := a.act(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	d.wechat.SetExpiresIn(demoRest)
	d.say("script", "is over: from the next renewal on, tokens live %s", demoRest)
	return nil
}

// birth waits for the first token.
func (d *demo) birth(ctx context.Context) error {
	slot, err := d.sidecars[0].store.Slot(d.appID, memcache.AccessToken)
	if err != nil {
		return err
	}
	for {
		if token, missing := slot.Get(); missing == nil {
			d.say("memcached", "holds %s under %s%s", memcache.Fingerprint(token), d.prefix, d.appID)
			return nil
		}
		if !wait(ctx, 5*time.Millisecond) {
			return nil
		}
	}
}

// theft has a stranger fetch a token, which ends the life of ours, and write it
// where the apps read.
func (d *demo) theft(ctx context.Context) error {
	before := d.calls()
	old, err := d.apps[0].client.AccessToken(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	stolen := d.wechat.Steal(d.appID)
	d.cause()
	d.say("stranger", "knows the AppSecret: fetches %s, which kills %s, and writes it into memcached",
		memcache.Fingerprint(stolen), memcache.Fingerprint(old))
	if err := d.command(ctx, fmt.Sprintf("set %s%s 0 %d %d\r\n%s\r\n", d.prefix, d.appID,
		int(demoLife.Seconds()), len(stolen), stolen), "STORED"); err != nil {
		return err
	}
	// Both sidecars look every 10 to 15 s, or when somebody asks them.
	var repaired string
	for _, one := range d.sidecars {
		for {
			grant, err := one.group.Token(ctx, d.appID, memcache.AccessToken)
			if err == nil && grant.Value != old && grant.Value != stolen {
				repaired = grant.Value
				break
			}
			if !wait(ctx, 100*time.Millisecond) {
				return nil
			}
		}
	}
	d.say("script", "both sidecars give %s, %s after the theft", memcache.Fingerprint(repaired), since(begin))
	slot, err := d.sidecars[0].store.Slot(d.appID, memcache.AccessToken)
	if err != nil {
		return err
	}
	for token := ""; token != repaired; token, _ = slot.Get() { // a failure is no token
		if time.Since(begin) > oneLook || !wait(ctx, 5*time.Millisecond) {
			d.claim(ctx.Err() != nil, "what a stranger wrote into memcached is replaced within one look")
			return nil
		}
	}
	d.say("memcached", "holds %s, %s after the theft", memcache.Fingerprint(repaired), since(begin))
	d.claim(d.calls()-before == 1, "a theft is repaired with one call")
	return nil
}

// flush empties memcached.
func (d *demo) flush(ctx context.Context) error {
	slot, err := d.sidecars[0].store.Slot(d.appID, memcache.AccessToken)
	if err != nil {
		return err
	}
	before, begin := d.calls(), time.Now()
	if d.own != nil {
		d.own.Restart()
		d.say("memcached", "restarts: all connections are cut, everything is gone")
	} else {
		for _, suffix := range []string{"", ":record", ":lease", ":report_throttle"} {
			if err := d.command(ctx, "delete "+d.prefix+d.appID+suffix+"\r\n", ""); err != nil {
				return err
			}
		}
		d.say("memcached", "loses all that we keep in it")
	}
	for {
		if token, missing := slot.Get(); missing == nil {
			calls := d.calls() - before
			d.say("memcached", "holds %s again after %s, with %d calls to WeChat", memcache.Fingerprint(token), since(begin), calls)
			d.claim(calls == 0, "an empty memcached is filled again without a call")
			return nil
		}
		if !wait(ctx, 5*time.Millisecond) {
			return nil
		}
	}
}

// report has many callers say at once that WeChat refused their token.
func (d *demo) report(ctx context.Context) error {
	before := d.calls()
	old, err := d.apps[0].client.AccessToken(ctx)
	if err != nil {
		return err
	}
	var clients []*demoApp // of their own: the apps go on reading with theirs
	for _, one := range d.sidecars {
		app, err := newDemoApp(d, "caller", "http://"+one.apiAt.Addr().String())
		if err != nil {
			return err
		}
		defer app.close()
		clients = append(clients, app)
	}
	d.cause()
	d.say("script", "%d callers at both sidecars report at once that WeChat refused %s", callersAtOnce, memcache.Fingerprint(old))
	var mu sync.Mutex // guards got and failed
	got, failed := map[string]bool{}, error(nil)
	var callers sync.WaitGroup
	for i := range callersAtOnce {
		callers.Go(func() {
			token, err := clients[i%len(clients)].client.Refresh(ctx, old)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				return
			}
			got[token] = true
		})
	}
	callers.Wait()
	if ended := errors.Join(failed, ctx.Err()); ended != nil {
		return ended
	}
	calls := d.calls() - before
	d.say("script", "they all got %d other token, with %d call to WeChat", len(got), calls)
	d.claim(len(got) == 1 && !got[old] && calls == 1, "many reports of one token cause one call")
	return nil
}

// calls counts the calls to WeChat for the account that the demo is about.
func (d *demo) calls() int { return d.wechat.Calls(d.appID, "") }

// cause notes that one call more is due than by the clock.
func (d *demo) cause() { d.causes = append(d.causes, time.Now()) }

// claim notes what did not hold.
func (d *demo) claim(holds bool, text string) {
	if !holds {
		d.broken = append(d.broken, text)
		d.say("script", "THIS DID NOT HOLD: %s", text)
	}
}

// summary tells the figures, and what did not hold.
func (d *demo) summary() {
	var reads, bySidecar, dead, failed int
	for _, app := range d.apps {
		reads, bySidecar, dead, failed = reads+app.reads, bySidecar+app.bySidecar, dead+app.dead, failed+app.failed
	}
	ahead, extra := d.renewals()
	calls := d.calls()
	d.claim(reads > 0, "the apps read tokens")
	d.claim(dead == 0, "no app reads a dead token")
	d.claim(failed == 0, "no app is left without a token")
	d.claim(extra == 0, "two sidecars call WeChat once per renewal")
	d.plain("")
	d.plain("After %s:", time.Since(d.start).Truncate(100*time.Millisecond))
	d.plain("  tokens read        %d, %d of them from a sidecar because memcached had none", reads, bySidecar)
	d.plain("  dead tokens read   %d", dead)
	d.plain("  reads that failed  %d", failed)
	d.plain("  calls to WeChat    %d: the first token, %d renewed ahead of time, %d for thefts and reports", calls, ahead, len(d.causes))
	d.plain("  calls too many     %d", extra)
	for _, text := range d.broken {
		d.plain("  DID NOT HOLD: %s", text)
	}
}

// renewals counts the tokens that were renewed because they were due, and those
// for which there was no reason.
func (d *demo) renewals() (ahead, extra int) {
	var last time.Time
	causes := d.causes
	for _, issue := range d.wechat.Issued() {
		if issue.Stranger || issue.AppID != d.appID {
			continue
		}
		switch {
		case last.IsZero(): // the first
		case len(causes) > 0 && issue.At.After(causes[0]):
			causes = causes[1:]
		case issue.At.Sub(last) >= demoLife/2-time.Second: // issued counts in whole seconds
			ahead++
		default:
			extra++
		}
		last = issue.At
	}
	return ahead, extra
}

// wait waits, and reports false where ctx ends before.
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
