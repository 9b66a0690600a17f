package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache" //nolint:depguard // the library that the client is compared with

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/client"
)

const (
	tokenLength = 512 // what WeChat's documentation says to leave room for

	maxReadRatio  = 1.05
	maxReadAllocs = 0
	maxLocal      = 20 // ns
)

// measureRead compares client.AccessToken with a Get of the same key by the bare
// library, both with 128 idle connections.
func measureRead(ctx context.Context, f *fixture) ([]row, error) {
	goal := fmt.Sprintf("≤ %.2f", maxReadRatio)
	rows := []row{
		{what: "`AccessToken` to a bare gomemcache get, TCP, 1 / 8 / 64 at a time", unit: "µs", goal: goal},
		{what: "the same over a unix socket", unit: "µs", goal: goal},
		{what: "allocations of the same, TCP / unix socket", goal: fmt.Sprintf("≤ %d more", maxReadAllocs)},
	}
	for i, transport := range []string{tcp, unixSocket} {
		r, err := newReaders(f, f.memcached[transport], 0)
		if err != nil {
			return nil, err
		}
		for _, goroutines := range []int{1, 8, 64} {
			var measured figure
			if measured, err = r.measure(ctx, f, fmt.Sprintf("%s, %d at a time", transport, goroutines), goroutines); err != nil {
				break
			}
			rows[i].figures = append(rows[i].figures, measured)
		}
		rows[2].figures = append(rows[2].figures, r.allocations(ctx))
		r.close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", transport, err)
		}
	}
	return rows, nil
}

// readers read one token.
type readers struct {
	client *client.Client
	bare   *memcache.Client
	token  string
}

func newReaders(f *fixture, m *program.Memcached, local time.Duration) (*readers, error) {
	f.wechat.SetTokenLength(tokenLength)
	token := f.wechat.FetchExternally(appID)
	f.wechat.SetTokenLength(136)
	c, err := client.New(client.Config{AppID: appID, Servers: []string{m.Address}, Memcached: client.Memcached{Timeout: program.Timeout}, Local: local})
	if err != nil {
		return nil, err
	}
	r := &readers{client: c, bare: m.Client(), token: token}
	return r, r.bare.Set(&memcache.Item{Key: appID, Value: []byte(token), Expiration: 3600})
}

func (r *readers) close() {
	_, _ = r.client.Close(), r.bare.Close()
}

func (r *readers) measure(ctx context.Context, f *fixture, what string, goroutines int) (figure, error) {
	ours := func() error { _, err := r.client.AccessToken(ctx); return err }
	bare := func() error { _, err := r.bare.Get(appID); return err }
	read := func(times int, get func() error) (float64, error) {
		return timed(times, slices.Repeat([]func() error{get}, goroutines)...)
	}
	perGet, err := read(2000, bare) // to learn how many make a batch
	if err != nil {
		return figure{}, err
	}
	gets := int(float64(f.pick(20, 10)) * float64(time.Millisecond) / perGet)
	reads := func(get func() error) batch { return func(context.Context) (float64, error) { return read(gets, get) } }
	all, err := interleave(ctx, f.pick(151, 21), reads(ours), reads(bare))
	if err != nil {
		return figure{}, err
	}
	ratio := all[0].per(all[1])
	f.note("%s: ratio %s", what, ratio.spread())
	one, floor := middle(all[0], all[1])
	return figure{microseconds(one), microseconds(floor), fmt.Sprintf("%.2f", ratio.median()), ratio.median() > maxReadRatio}, nil
}

// allocations counts those of a read.
func (r *readers) allocations(ctx context.Context) figure {
	const gets = 2000
	ours := testing.AllocsPerRun(gets, func() { _, _ = r.client.AccessToken(ctx) })
	bare := testing.AllocsPerRun(gets, func() { _, _ = r.bare.Get(appID) })
	return figure{fmt.Sprint(ours), fmt.Sprint(bare), fmt.Sprintf("%+.0f", ours-bare), ours-bare > maxReadAllocs}
}

// measureLocal compares a token kept in the process with one atomic load.
func measureLocal(ctx context.Context, f *fixture) ([]row, error) {
	r, err := newReaders(f, f.memcached[tcp], client.MaxLocal)
	if err != nil {
		return nil, err
	}
	defer r.close()
	request, cancel := context.WithCancel(ctx) // as an app has it
	defer cancel()
	var kept atomic.Pointer[string]
	kept.Store(&r.token)
	const times = 1_000_000
	length := 0 // of what was loaded, so that the compiler keeps the loads
	all, err := interleave(ctx, f.pick(31, 7),
		func(context.Context) (float64, error) {
			start := time.Now()
			for range times {
				if _, err := r.client.AccessToken(request); err != nil {
					return 0, err
				}
			}
			return float64(time.Since(start)) / times, nil
		},
		func(context.Context) (float64, error) {
			start := time.Now()
			for range times {
				length += len(*kept.Load())
			}
			return float64(time.Since(start)) / times, nil
		})
	if err != nil {
		return nil, err
	}
	ours := all[0].median()
	allocs := testing.AllocsPerRun(1000, func() { _, _ = r.client.AccessToken(request) })
	return []row{
		{
			what: "`AccessToken` with `Config.Local`, to one atomic load", unit: "ns", goal: fmt.Sprintf("≤ %d ns", maxLocal),
			figures: []figure{{ours: fmt.Sprintf("%.1f", ours), floor: fmt.Sprintf("%.1f", all[1].median()), missed: ours > maxLocal}},
		},
		{what: "allocations of the same", goal: "0", figures: []figure{{ours: fmt.Sprint(allocs), floor: "0", missed: allocs > 0}}},
	}, nil
}
