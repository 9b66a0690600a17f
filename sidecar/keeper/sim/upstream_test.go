package sim

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/upstream"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// downstream is a second cluster, without the AppSecret: a memcached of its own, sidecars
// whose upstream are the pods of the world, and apps.
type downstream struct {
	*world    // with dice of its own
	memcached *memcachetest.Server
	sidecars  []*below
	cut       atomic.Bool // it cannot reach the upstream

	strict bool // nothing is excused

	mu       sync.Mutex // guards what follows
	reads    int
	invalid  []string // reads of invalid tokens that nothing excuses
	excused  int
	failures []string // reads without a token, the same
	trouble  time.Time
}

// below is one sidecar without the AppSecret, and the app beside it.
type below struct {
	group  *keeper.Group
	client *client.Client
	close  func()
}

// aftermath is how long after a trouble of the upstream its effects can last: a doubt that
// heals after a lost answer, and a cooldown of all.
const aftermath = 15 * time.Minute

// newDownstream starts so many sidecars without the AppSecret.
func newDownstream(w *world, sidecars int) *downstream {
	d := &downstream{world: w.as("downstream"), memcached: memcachetest.New()}
	for i := range sidecars {
		d.sidecars = append(d.sidecars, d.start(fmt.Sprintf("below-%d", i)))
	}
	return d
}

func (d *downstream) start(name string) *below {
	log := slog.New(slog.NewJSONHandler(d.logs, &slog.HandlerOptions{Level: slog.LevelDebug})).With("pod", name)
	own := d.as(name)
	store, err := memcache.New(memcache.Config{Servers: []string{"memcached:11211"}, Dial: d.memcached.Dial})
	d.must(err)
	asks, err := upstream.New(upstream.Config{
		URLs: []string{"http://127.0.0.1:7200"}, Transport: &http.Transport{DialContext: own.dialUpstream(&d.cut), DisableKeepAlives: true},
	})
	d.must(err)
	group := keeper.New(keeper.Config{Store: store, Upstream: asks, Name: name, Log: log, Rand: own.float})
	d.must(group.SetAccounts([]keeper.Account{{AppID: appID, Tickets: d.tickets}}))
	handler, err := web.NewAPI(web.APIConfig{Group: group, Upstream: true, Log: log})
	d.must(err)
	pipes := newPipes()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { group.Run(ctx) })
	all.Go(func() { _ = server.Serve(pipes) })
	app, err := client.New(client.Config{
		AppID: appID, Servers: []string{"memcached:11211"}, Memcached: client.Memcached{Dial: d.memcached.Dial},
		Transport: &http.Transport{DialContext: pipes.Dial, DisableKeepAlives: true},
	})
	d.must(err)
	return &below{group, app, func() {
		cancel()
		_ = pipes.Close()
		_ = server.Close()
		over, done := context.WithCancel(context.Background())
		done()
		group.Close(over)
		all.Wait()
		_ = app.Close()
		_ = store.Close()
	}}
}

// dialUpstream connects to one of the pods that run, as a Service does.
func (w *world) dialUpstream(cut *atomic.Bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		running := slices.DeleteFunc(slices.Clone(w.pods), func(p *pod) bool { return !p.running() })
		if cut.Load() || len(running) == 0 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return running[w.between(0, len(running)-1)].dialAPI(ctx, network, address)
	}
}

// troubled reports whether something is amiss, or was lately. The caller holds mu.
func (d *downstream) troubled(now time.Time) bool {
	if d.strict {
		return false
	}
	if now.Sub(d.trouble) < aftermath && !d.trouble.IsZero() {
		return true
	}
	d.judge.mu.Lock()
	defer d.judge.mu.Unlock()
	return d.judge.troubled(now.Add(-aftermath), now)
}

// read reads as an app does, reports what WeChat refuses, and reads again.
func (d *downstream) read(ctx context.Context, name string, app *client.Client) {
	token, err := app.AccessToken(ctx)
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	if err != nil {
		d.clean(err)
		d.note("%s has no token", name)
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.troubled(now) {
			d.failures = append(d.failures, fmt.Sprintf("%s at %s: %v", name, now.Sub(d.world.start), err))
		}
		return
	}
	code := d.wechat.Accepts(token)
	d.mu.Lock()
	d.reads++
	switch {
	case code == 0:
	case d.troubled(now):
		d.excused++
	default:
		d.invalid = append(d.invalid, fmt.Sprintf("%s at %s: %d; issued: %s", name, now.Sub(d.world.start), code, d.judge.history()))
	}
	d.mu.Unlock()
	if code == 0 {
		return
	}
	d.judge.falselyReported(token)
	if _, err = app.Refresh(ctx, token); err != nil {
		d.clean(err)
	}
}

// simulateBelow runs a world with two clusters in virtual time: script is what happens.
func simulateBelow(t *testing.T, seed uint64, sidecars int, script func(ctx context.Context, w *world, d *downstream)) (w *world, d *downstream) {
	t.Helper()
	w = simulate(t, seed, wechat.Token, 3, 6, func(ctx context.Context, w *world) {
		d = newDownstream(w, sidecars)
		below, cancel := context.WithCancel(ctx)
		var all sync.WaitGroup
		for i := range 3 * sidecars {
			name := fmt.Sprintf("app-%d", i)
			own, app := d.as(name), d.sidecars[i%sidecars].client
			all.Go(func() {
				for sleep(below, own.seconds(20, 100)) {
					d.read(below, name, app)
				}
			})
		}
		script(ctx, w, d)
		cancel()
		all.Wait()
		for _, one := range d.sidecars {
			one.close()
		}
		_ = d.memcached.Close()
	}, memcache.JSAPITicket)
	assert.Empty(t, d.invalid, "reads of invalid tokens")
	assert.Empty(t, d.failures, "reads without a token")
	return w, d
}

// current returns the token that the apps of the upstream read.
func (w *world) current() string {
	item, _ := w.memcached.Peek(appID)
	return item.Value
}

// arrives waits until the entry below has the upstream's token, and returns how long that
// took.
func (d *downstream) arrives(ctx context.Context, most time.Duration) time.Duration {
	start := time.Now()
	for sleep(ctx, 10*time.Millisecond) && time.Since(start) < most {
		item, _ := d.memcached.Peek(appID)
		if item.Value == d.current() && d.wechat.Accepts(item.Value) == 0 {
			break
		}
	}
	return time.Since(start)
}

// Hours without faults: one request per renewal, whoever reads.
func TestUpstream_CalmHours(t *testing.T) {
	t.Parallel()
	hours := long(8 * time.Hour)
	w, d := simulateBelow(t, 1, 3, func(ctx context.Context, _ *world, _ *downstream) { sleep(ctx, hours) })
	calls := w.wechat.Requests("", "token")
	assert.LessOrEqual(t, calls, 1+int(hours/(3300*time.Second)))
	assert.Zero(t, d.excused)
	assert.Zero(t, w.judge.invalid)
	t.Logf("%d requests, %d reads below", calls, d.reads)
}

// What the upstream heals arrives below within one poll.
func TestUpstream_ExternalFetchHealsBelow(t *testing.T) {
	t.Parallel()
	simulateBelow(t, 2, 3, func(ctx context.Context, w *world, d *downstream) {
		sleep(ctx, 10*time.Minute)
		end := w.judge.begin(externalTrouble)
		defer end()
		for range 5 {
			external := w.wechat.FetchExternally(appID)
			w.memcached.Put(appID, external, 0, 3600)
			for sleep(ctx, 10*time.Millisecond) && w.current() == external {
			}
			took := d.arrives(ctx, time.Minute)
			assert.LessOrEqual(t, took, 2*pollBound)
			sleep(ctx, 6*time.Minute)
		}
		assert.Equal(t, 6, w.wechat.Requests("", "token"))
	})
}

// Reports of apps below and above together cause one renewal, and so do those of a token
// that the upstream has replaced.
func TestUpstream_OneRenewalForReportsBelow(t *testing.T) {
	t.Parallel()
	simulateBelow(t, 3, 3, func(ctx context.Context, w *world, d *downstream) {
		sleep(ctx, 10*time.Minute)
		end := w.judge.begin(externalTrouble)
		defer end()
		token, err := d.sidecars[0].client.AccessToken(ctx)
		require.NoError(t, err)
		w.invalidate()
		got := make(chan string, 60)
		for i := range cap(got) {
			app := d.sidecars[i%3].client
			if i%4 == 3 {
				app = w.pods[i%3].client
			}
			go func() {
				fresh, err := app.Refresh(ctx, token)
				assert.NoError(t, err)
				got <- fresh
			}()
		}
		for range cap(got) {
			assert.Zero(t, w.wechat.Accepts(<-got))
		}
		assert.Equal(t, 2, w.wechat.Requests("", "token"))
	})
}

// No reader below notices that the upstream, or memcached below, is out of order.
func TestUpstream_Outages(t *testing.T) {
	t.Parallel()
	w, d := simulateBelow(t, 4, 3, func(ctx context.Context, _ *world, d *downstream) {
		sleep(ctx, 5*time.Minute)
		d.cut.Store(true)
		sleep(ctx, 40*time.Minute)
		d.cut.Store(false)
		assert.LessOrEqual(t, d.arrives(ctx, 5*time.Minute), 2*time.Minute)
		sleep(ctx, 5*time.Minute)
		for _, fault := range []memcachetest.Fault{memcachetest.Refuse, memcachetest.Hang, memcachetest.ServerError} {
			d.memcached.SetFault(fault)
			sleep(ctx, 20*time.Minute)
			d.memcached.Restart()
			d.memcached.SetFault(memcachetest.None)
			sleep(ctx, 5*time.Minute)
		}
	})
	assert.Zero(t, d.excused)
	assert.LessOrEqual(t, w.wechat.Requests("", ""), 2+2*3, "a token and a ticket at each renewal")
}

// While one sidecar of the upstream cannot reach its memcached, the entry below never goes
// back for longer than the rule allows, and apps get valid tokens.
func TestUpstream_OneLags(t *testing.T) {
	t.Parallel()
	simulateBelow(t, 5, 2, func(ctx context.Context, w *world, d *downstream) {
		sleep(ctx, 10*time.Minute)
		d.strict = true
		end := w.judge.begin(memcachedTrouble)
		defer end()
		for range 3 {
			w.untilDue(ctx)
			w.pods[0].cut.Store(true)
			sleep(ctx, 2*time.Minute)
			w.pods[0].cut.Store(false)
			sleep(ctx, pollBound)
			// Meanwhile it may have asked stable_token, under a number of its own.
			assert.LessOrEqual(t, d.arrives(ctx, 3*time.Minute), 2*time.Minute)
		}
	})
}

// Random days above, with every kind of fault, and outages below. What nothing excuses must
// not happen, and below all is well again soon after it is above.
func TestUpstream_Days(t *testing.T) {
	t.Parallel()
	for seed := *simSeed; seed < *simSeed+(*simSeeds+2)/3; seed++ {
		t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) {
			t.Parallel()
			w, d := simulateBelow(t, seed, 3, func(ctx context.Context, w *world, d *downstream) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					days(*simHours)(ctx, w)
				}()
				for own := d.as("outages"); ; {
					select {
					case <-done:
						return
					default:
						sleep(ctx, own.seconds(600, 6000))
						d.outage(ctx, own)
					}
				}
			})
			t.Logf("%d reads below, %d of invalid tokens (all within the bounds), %d requests", d.reads, d.excused, w.wechat.Requests("", "token"))
		})
	}
}

// outage is one outage below.
func (d *downstream) outage(ctx context.Context, own *world) {
	d.mu.Lock()
	d.trouble = time.Now().Add(time.Hour)
	d.mu.Unlock()
	switch own.between(0, 3) {
	case 0:
		d.memcached.Restart()
	case 1:
		d.memcached.Flush()
	case 2:
		d.cut.Store(true)
		sleep(ctx, own.seconds(10, 600))
		d.cut.Store(false)
	case 3:
		d.memcached.SetFault([]memcachetest.Fault{memcachetest.Refuse, memcachetest.Hang, memcachetest.ServerError}[own.between(0, 2)])
		sleep(ctx, own.seconds(10, 600))
		d.memcached.SetFault(memcachetest.None)
	}
	d.mu.Lock()
	d.trouble = time.Now()
	d.mu.Unlock()
}
