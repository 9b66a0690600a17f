package main

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache" //nolint:depguard // the bare library is what the client is measured against

	"github.com/wxsidecar/wxsidecar/client"
)

const (
	tokenLength = 512 // what WeChat says to leave room for

	maxReadRatio  = 1.05
	maxReadAllocs = 1
)

// readBriefs are the rows of the documentation, by transport.
var readBriefs = map[string]string{
	tcp:        "`AccessToken` to a bare gomemcache get, TCP, 1 / 8 / 64 at a time",
	unixSocket: "the same over a unix socket",
}

// measureRead compares client.AccessToken with a Get of the same key by the bare
// library, both with 128 idle connections.
func measureRead(ctx context.Context, r *rig) ([]row, error) {
	var rows, allocs []row
	for _, at := range []struct {
		name string
		*memcached
	}{{tcp, r.overTCP}, {unixSocket, r.overSocket}} {
		for _, goroutines := range []int{1, 8, 64} {
			d, err := newReadDuel(r, at.memcached, goroutines)
			if err != nil {
				return nil, err
			}
			measured, err := d.measure(ctx, r, at.name)
			d.close()
			if err != nil {
				return nil, fmt.Errorf("%s, %d goroutines: %w", at.name, goroutines, err)
			}
			rows, allocs = append(rows, measured[0]), append(allocs, measured[1:]...)
		}
	}
	return append(rows, allocs...), nil
}

// readDuel is the two that read, and the bare library once more for the noise.
type readDuel struct {
	client      *client.Client
	bare, again *memcache.Client
	goroutines  int
}

func newReadDuel(r *rig, at *memcached, goroutines int) (*readDuel, error) {
	r.wechat.SetTokenLength(tokenLength)
	token := r.wechat.Steal(appID)
	r.wechat.SetTokenLength(136)
	c, err := client.New(client.Config{AppID: appID, Servers: []string{at.address}, Timeout: getPatience})
	if err != nil {
		return nil, err
	}
	d := &readDuel{client: c, bare: at.bare(), again: at.bare(), goroutines: goroutines}
	return d, d.bare.Set(&memcache.Item{Key: appID, Value: []byte(token), Expiration: 3600})
}

func (d *readDuel) close() {
	_, _, _ = d.client.Close(), d.bare.Close(), d.again.Close()
}

func (d *readDuel) measure(ctx context.Context, r *rig, where string) ([]row, error) {
	ours := func() error { _, err := d.client.AccessToken(ctx); return err }
	bare := func() error { _, err := d.bare.Get(appID); return err }
	again := func() error { _, err := d.again.Get(appID); return err }

	const few = 2000 // to learn how many make a batch; these warm up too
	perGet, err := timed(d.goroutines, few, bare)
	if err != nil {
		return nil, err
	}
	gets := int(float64(r.pick(20, 10)) * float64(time.Millisecond) / perGet)
	spent := make([]samples, 3)
	batch := func(i int, get func() error) contender {
		return func(context.Context) (float64, error) {
			before := ownCPU()
			ns, err := timed(d.goroutines, gets, get)
			spent[i] = append(spent[i], ownCPU()-before)
			return ns, err
		}
	}
	all, err := interleave(ctx, r.pick(151, 21), batch(0, ours), batch(1, bare), batch(2, again))
	if err != nil {
		return nil, err
	}
	pair := duel{all[0], all[1]}
	ratio := pair.ratio()
	one, floor := pair.middle()
	rows := []row{{
		brief: readBriefs[where],
		what:  fmt.Sprintf("`AccessToken` to a bare gomemcache get, %s, %d at a time", where, d.goroutines),
		ours:  microseconds(one), floor: microseconds(floor),
		ratio: ratio.spread(2), goal: fmt.Sprintf("≤ %.2f ×", maxReadRatio), met: verdictOf(ratio.median() <= maxReadRatio),
		note: fmt.Sprintf("noise %s; this process's CPU × %s", all[2].per(all[1]).spread(3), spent[0].per(spent[1]).spread(3)),
	}}
	if d.goroutines == 1 {
		rows = append(rows, readAllocs(where, ours, bare))
	}
	return rows, nil
}

// readAllocs counts the allocations of a get.
func readAllocs(where string, ours, bare func() error) row {
	const gets = 2000
	a := testing.AllocsPerRun(gets, func() { _ = ours() })
	b := testing.AllocsPerRun(gets, func() { _ = bare() })
	return row{
		brief: "allocations of the same, TCP / unix socket",
		what:  "allocations of the same, " + where,
		ours:  fmt.Sprintf("%.0f", a), floor: fmt.Sprintf("%.0f", b), ratio: fmt.Sprintf("%+.0f", a-b),
		goal: fmt.Sprintf("≤ %d more", maxReadAllocs), met: verdictOf(a-b <= maxReadAllocs),
	}
}

// ownCPU is the processor time that this process has used, in nanoseconds. Other
// programs on the machine take of the time on the wall, and little of this.
func ownCPU() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return float64(used.Utime.Nano() + used.Stime.Nano())
}
