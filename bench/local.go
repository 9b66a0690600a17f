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

// measureLocal compares a token kept in the process with one atomic load.
func measureLocal(ctx context.Context, f *fixture) ([]row, error) {
	bare := f.memcached[tcp].Client()
	defer func() { _ = bare.Close() }()
	token := f.wechat.FetchExternally(appID)
	if err := bare.Set(&memcache.Item{Key: appID, Value: []byte(token), Expiration: 3600}); err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{AppID: appID, Servers: []string{f.memcached[tcp].Address}, Local: client.MaxLocal})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	request, cancel := context.WithCancel(ctx) // as an app has it
	defer cancel()
	if _, err := c.AccessToken(request); err != nil { // fetches it
		return nil, err
	}

	var kept atomic.Pointer[string]
	kept.Store(&token)
	const times = 1_000_000
	all, err := interleave(ctx, f.pick(31, 7),
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
	ours := all[0].median()
	allocs := testing.AllocsPerRun(1000, func() { _, _ = c.AccessToken(request) })
	return []row{
		{
			what: "`AccessToken` with `Config.Local`, to one atomic load", unit: "ns", goal: fmt.Sprintf("≤ %d ns", maxLocal),
			figures: []figure{{ours: fmt.Sprintf("%.1f", ours), floor: fmt.Sprintf("%.1f", all[1].median()), missed: ours > maxLocal}},
		},
		{what: "allocations of the same", goal: "0", figures: []figure{{ours: fmt.Sprint(allocs), floor: "0", missed: allocs > 0}}},
	}, nil
}
