package main

import (
	"context"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
)

// demoApp reads tokens as an app does, and has WeChat judge each of them.
type demoApp struct {
	*demo
	name   string
	client *client.Client
	road   *sidecarRoad

	// read's alone until it has ended
	reads, bySidecar, dead, failed int
}

func newDemoApp(d *demo, name, address string) (*demoApp, error) {
	road := newSidecarRoad(address)
	c, err := client.New(client.Config{AppID: d.appID, Servers: []string{d.server}, Prefix: d.prefix, Sidecar: address, Transport: road})
	if err != nil {
		return nil, err
	}
	return &demoApp{demo: d, name: name, client: c, road: road}, nil
}

func (a *demoApp) close() {
	_ = a.client.Close() // always nil
	a.road.transport.CloseIdleConnections()
}

// readEvery is the time between two reads of a demo's app.
const readEvery = 20 * time.Millisecond

// read reads until ctx ends, and tells when what it reads changes.
func (a *demoApp) read(ctx context.Context) error {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	var last string
	for ctx.Err() == nil {
		a.road.used.Store(false)
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
			if a.road.used.Load() {
				a.bySidecar++
			}
			if code := a.wechat.Accepts(token); code != 0 && a.again(ctx, token) {
				if a.dead++; a.dead == 1 {
					a.say(a.name, "read %s, which WeChat refuses with %d", memcache.Fingerprint(token), code)
				}
			}
			if now := memcache.Fingerprint(token) + " from " + a.road.source(); now != last {
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
