package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
)

// demoApp reads tokens as an app does, and has WeChat judge each of them.
type demoApp struct {
	*demo
	name   string
	client *client.Client
	source atomic.Value // of the last credential: a client.Source

	// read's alone until it has ended
	reads, bySidecar, dead, failed int
}

func newDemoApp(d *demo, name, address string) (*demoApp, error) {
	a := &demoApp{demo: d, name: name}
	c, err := client.New(client.Config{
		AppID: d.appID, Servers: []string{d.server}, Prefix: d.prefix, Sidecar: address,
		Observe: func(o client.Observation) { a.source.Store(o.Source) },
	})
	a.client = c
	return a, err
}

func (a *demoApp) close() {
	_ = a.client.Close() // always nil
}

// readEvery is the time between two reads of a demo's app.
const readEvery = 20 * time.Millisecond

// read reads until ctx ends, and tells when what it reads changes.
func (a *demoApp) read(ctx context.Context) error {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	var last string
	for ctx.Err() == nil {
		token, err := a.client.AccessToken(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if a.failed++; a.failed == 1 {
				a.say(a.name, "no token: %v", err)
			}
		default:
			a.reads++
			if a.source.Load() == client.SourceSidecar {
				a.bySidecar++
			}
			if code := a.wechat.Accepts(token); code != 0 && a.again(ctx, token) {
				if a.dead++; a.dead == 1 {
					a.say(a.name, "read %s, which WeChat refuses with %d", memcache.Fingerprint(token), code)
				}
			}
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
	return nil
}

// again reports whether a refused token is given once more. It is not where it
// died on its way here: a theft and the renewal after it take milliseconds.
func (a *demoApp) again(ctx context.Context, token string) bool {
	next, err := a.client.AccessToken(ctx)
	return err == nil && next == token
}
