package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache" //nolint:depguard // puts the token there

	"github.com/wxsidecar/wxsidecar/client"
)

const maxLocal = 20 // ns

// measureLocal compares a token kept in the process with the one atomic load
// that this is at least.
func measureLocal(ctx context.Context, r *rig) ([]row, error) {
	bare := r.overTCP.bare()
	defer func() { _ = bare.Close() }()
	token := r.wechat.Steal(appID)
	if err := bare.Set(&memcache.Item{Key: appID, Value: []byte(token), Expiration: 3600}); err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{AppID: appID, Servers: []string{r.overTCP.address}, Local: client.MaxLocal})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	// As an app has it: the context of a request, which may be cancelled.
	request, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := c.AccessToken(request); err != nil { // fetches it
		return nil, err
	}

	var kept atomic.Pointer[string]
	kept.Store(&token)
	ours := func() error { _, err := c.AccessToken(request); return err }
	const times = 1_000_000
	all, err := interleave(ctx, r.pick(31, 7),
		func(context.Context) (float64, error) {
			start := time.Now()
			for range times {
				if _, err := c.AccessToken(request); err != nil {
					return 0, err
				}
			}
			return float64(time.Since(start)) / times, nil
		},
		func(context.Context) (float64, error) {
			start, length := time.Now(), 0
			for range times {
				length += len(*kept.Load())
			}
			took := time.Since(start)
			if length != times*len(token) {
				return 0, fmt.Errorf("read %d bytes", length)
			}
			return float64(took) / times, nil
		})
	if err != nil {
		return nil, err
	}
	allocs := testing.AllocsPerRun(1000, func() { _ = ours() })
	return []row{
		{
			brief: "`AccessToken` with `Config.Local`, to one atomic load",
			what:  "`AccessToken` with `Config.Local`, to one atomic load",
			ours:  all[0].spread(1) + " ns", floor: all[1].spread(1) + " ns",
			goal: fmt.Sprintf("≤ %d ns", maxLocal), met: verdictOf(all[0].median() <= maxLocal),
			note: "the rest asks whether the context has ended",
		},
		{
			brief: "allocations of the same",
			what:  "allocations of the same", ours: fmt.Sprintf("%.0f", allocs), floor: "0",
			goal: "0", met: verdictOf(allocs == 0),
		},
	}, nil
}
