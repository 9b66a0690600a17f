package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	appID  = "wx5103a1c0ffee0001"
	secret = "0123canarysecret4567"
)

// The keys and fields of memcached that the simulation writes or reads.
const (
	recordKey  = appID + ":record"
	leaseKey   = appID + ":lease"
	plannedKey = appID + ":planned"
	budgetKey  = appID + ":budget"
	doubtField = "doubt"
)

// bothAPIs is a fleet of which some sidecars use stable_token and some the classic
// API, as in the midst of a change from one to the other.
const bothAPIs wechat.API = "both"

// world is a simulated cluster, and the dice of who acts in it: the script, an
// episode, a reader. Each has dice of its own, so that none depends on how often
// another throws.
type world struct {
	*cluster
	*dice
	alone bool // no other episode goes on at the same time
}

// cluster is one memcached, one WeChat, sidecars, readers.
type cluster struct {
	seed            uint64
	t               *testing.T
	start           time.Time
	verdict         string
	api             wechat.API
	tickets         []memcache.Kind // kept beside the token
	memcached       *memcachetest.Server
	wechat          *wechattest.Server
	wechatTransport http.RoundTripper
	stopWeChat      func()
	pods            []*pod
	judge           *judge
	logs            *programtest.Output
	trap            atomic.Pointer[trap]
	failing         atomic.Int32 // the errcode that WeChat refuses calls with; 0: none
	slowMemcached   atomic.Int64 // how long each command takes longer, a time.Duration
	slowWeChat      atomic.Int64 // how long each request takes longer

	mu         sync.Mutex      // guards what follows
	requests   []request       // the requests to WeChat, in their order
	losing     func(*pod) bool // whose next answer from WeChat is lost; nil: none
	events     []event
	traffic    []uint64 // a sum of what was written to memcached, for each minute
	haveSecret string
}

// long is a quarter of a time, except with -sim.long.
func long(d time.Duration) time.Duration { return d / time.Duration(scale()) }

// many is a quarter of a number, except with -sim.long.
func many(n int) int { return n / scale() }

func scale() int {
	if *simLong {
		return 1
	}
	return 4
}

// simulate runs a world in virtual time: script is what happens to it. It has fewer readers
// except with -sim.long, but one for each pod.
func simulate(t *testing.T, seed uint64, api wechat.API, pods, readers int, script func(ctx context.Context, w *world), tickets ...memcache.Kind) *world {
	t.Helper()
	var w *world
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, seed, api, pods, tickets)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range max(min(readers, pods), many(readers)) {
			name := fmt.Sprintf("reader-%d", i)
			all.Go(func() { w.as(name).reader(ctx, name, w.pods[i%pods]) })
		}
		all.Go(func() {
			for sleep(ctx, time.Second+watchOff) {
				w.judge.watch()
			}
		})
		script(ctx, w)
		cancel()
		all.Wait()
		w.end()
		w.judge.verdict(t)
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return w
}

func newWorld(t *testing.T, seed uint64, api wechat.API, pods int, tickets []memcache.Kind) *world {
	t.Helper()
	w := &world{&cluster{
		seed: seed, t: t, start: time.Now(), api: api, tickets: tickets, logs: &programtest.Output{},
		memcached: memcachetest.New(), wechat: wechattest.New(), haveSecret: secret,
	}, newDice(seed, "script"), false}
	w.judge = newJudge(w)
	w.wechat.AddAccount(appID, secret)
	w.wechat.OnRequest(w.normalAnswer)
	w.wechat.OnCheck(w.checkAnswer)
	w.wechatTransport, w.stopWeChat = w.wechat.Pipe()
	for i := range pods {
		name := fmt.Sprintf("pod-%d", i)
		p := &pod{world: w.as(name), name: name, api: api}
		if api == bothAPIs {
			p.api = []wechat.API{wechat.StableToken, wechat.Token}[i%2]
		}
		p.skew.Store(int64(p.world.seconds(0, 2) - time.Second))
		w.pods = append(w.pods, p)
		p.client = p.newClient()
		p.start()
	}
	return w
}

func (w *world) end() {
	for _, p := range w.pods {
		p.end(false)
		_ = p.client.Close()
	}
	w.stopWeChat()
	_ = w.memcached.Close()
}

// reader is an app: it reads every 20 to 100 s, and reports what WeChat refuses.
func (w *world) reader(ctx context.Context, name string, p *pod) {
	for sleep(ctx, w.seconds(20, 100)) {
		if len(w.tickets) > 0 && w.flip() {
			w.readTicket(ctx, name, p)
			continue
		}
		holds := p.holdsToken()
		token, err := p.client.AccessToken(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.note("%s has no token", name)
			w.judge.failed(p, holds, err)
			w.clean(err)
			continue
		}
		if !w.judge.read(p, token) {
			continue
		}
		w.note("%s has an invalid token", name)
		rejected := token
		if token, err = p.client.Refresh(ctx, rejected); err == nil {
			w.judge.refreshed(p, rejected, token)
			w.judge.read(p, token)
		} else {
			w.clean(err)
		}
	}
}

// clean notes an error's text, to be searched for secrets.
func (w *world) clean(err error) {
	var refused *client.Error
	if errors.As(err, &refused) {
		_, _ = fmt.Fprintf(w.logs, "%+v %v\n", *refused, err)
		return
	}
	_, _ = fmt.Fprintf(w.logs, "%+v\n", err)
}

func (w *world) secret() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.haveSecret, nil
}

func (w *world) anyPod() *pod { return w.pods[w.between(0, len(w.pods)-1)] }

func (w *world) must(err error) {
	if err != nil {
		panic(err)
	}
}

// sleep waits in virtual time; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tokenBeforeTrouble waits ten minutes, and returns the token that apps have then. What
// follows until end is called is trouble with external fetches.
func (w *world) tokenBeforeTrouble(ctx context.Context) (token string, end func()) {
	sleep(ctx, 10*time.Minute)
	end = w.judge.begin(externalTrouble)
	token, err := w.pods[0].client.AccessToken(ctx)
	w.must(err)
	return token, end
}
