package demo

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
)

// app reads tokens as an app does. WeChat judges each of them.
type app struct {
	*demo
	name   string
	client *client.Client
	source atomic.Value // of the last credential: a client.Source
	counts counts       // read's alone until it has ended
}

// counts are what an app saw.
type counts struct{ reads, fromSidecar, invalid, failed int }

func newApp(d *demo, name, address string) (*app, error) {
	a := &app{demo: d, name: name}
	c, err := client.New(client.Config{
		AppID: d.appID, Servers: []string{d.server}, Memcached: client.Memcached{Prefix: d.prefix}, Sidecar: address,
		Observe: func(o client.Observation) { a.source.Store(o.Source) },
	})
	a.client = c
	return a, err
}

func (a *app) close() { _ = a.client.Close() } // closes idle connections

// readEvery is the time between two reads of an app.
const readEvery = 20 * time.Millisecond

// read reads until ctx ends, and says when the answer changes.
func (a *app) read(ctx context.Context) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	var last string
	for ctx.Err() == nil {
		token, err := a.client.AccessToken(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if a.counts.failed++; a.counts.failed == 1 {
				a.say(a.name, "no token: %v", err)
			}
		default:
			a.judge(ctx, token)
			if now := fmt.Sprintf("%s from %s", memcache.Fingerprint(token), a.source.Load()); now != last {
				a.say(a.name, "reads %s", now)
				last = now
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// judge counts a token, and asks WeChat whether it is valid.
func (a *app) judge(ctx context.Context, token string) {
	a.counts.reads++
	if a.source.Load() == client.SourceSidecar {
		a.counts.fromSidecar++
	}
	code := a.wechat.Accepts(token)
	if code == 0 || !a.readsAgain(ctx, token) {
		return
	}
	if a.counts.invalid++; a.counts.invalid == 1 {
		a.say(a.name, "read %s, which WeChat refuses with errcode %d", memcache.Fingerprint(token), code)
	}
}

// readsAgain reports whether the next read gives the same token. It does not if the
// token became invalid on its way here: an external fetch and the renewal after it
// take milliseconds.
func (a *app) readsAgain(ctx context.Context, token string) bool {
	next, err := a.client.AccessToken(ctx)
	return err == nil && next == token
}
