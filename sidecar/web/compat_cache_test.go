package web_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// cachers are programs that keep a token for as long as expires_in says, as SDKs
// do, beside two sidecars of one memcached.
type cachers struct {
	t         *testing.T
	wechat    *wechattest.Server
	memcached *memcachetest.Server
	apis      []http.Handler
	tickets   bool // they keep a ticket as well, which another sidecar gives for the token

	running              sync.WaitGroup
	uses, invalid, unfed atomic.Int64
	shortest, longest    atomic.Int64 // seconds promised
}

// withCachers runs test in virtual time.
func withCachers(t *testing.T, api wechat.API, test func(c *cachers)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cachers{t: t, wechat: wechattest.New(), memcached: memcachetest.New()}
		c.shortest.Store(1 << 30)
		defer func() { _ = c.memcached.Close() }()
		c.wechat.AddAccount(appID, secret)
		transport, stop := c.wechat.Pipe()
		defer stop()
		for range 2 {
			defer c.sidecar(t, api, transport)()
		}
		test(c)
		c.running.Wait()
		t.Logf("%d uses of tokens kept for %d to %d s, %d of them of invalid ones; %d requests to WeChat",
			c.uses.Load(), c.shortest.Load(), c.longest.Load(), c.invalid.Load(), c.wechat.Requests("", ""))
		assert.Zero(t, c.invalid.Load(), "invalid tokens used")
		assert.Zero(t, c.unfed.Load(), "programs that got none")
	})
}

// sidecar starts one and returns what stops it.
func (c *cachers) sidecar(t *testing.T, api wechat.API, transport http.RoundTripper) (stop func()) {
	t.Helper()
	calls, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport})
	require.NoError(t, err)
	store, err := memcache.New(memcache.Config{Dial: c.memcached.Dial})
	require.NoError(t, err)
	group := keeper.New(keeper.Config{Store: store, WeChat: calls, API: api, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, group.SetAccounts([]keeper.Account{{
		AppID: appID, Secret: func() (string, error) { return secret, nil }, Tickets: []memcache.Kind{memcache.JSAPITicket},
	}}))
	handler, err := web.NewAPI(web.APIConfig{Group: group, Compat: true})
	require.NoError(t, err)
	c.apis = append(c.apis, handler)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		group.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
		group.Close(ctx)
		_ = store.Close()
	}
}

// program fetches a token once and uses it to the last moment that it was promised.
func (c *cachers) program(i int) {
	r := httptest.NewRequest(http.MethodGet, classicPath+appID+"&secret=none", nil)
	if i%4 < 2 {
		r = httptest.NewRequest(http.MethodPost, stablePath, strings.NewReader(`{"grant_type":"client_credential","appid":"`+appID+`"}`))
	}
	got := c.fetch(c.apis[i%2], r)
	if c.tickets && got.Token != "" {
		r = httptest.NewRequest(http.MethodGet, ticketPath+got.Token, nil)
		ticket := c.fetch(c.apis[(i+1)%2], r)
		c.running.Go(func() { c.useUp(ticket.Ticket, ticket.ExpiresIn, c.wechat.AcceptsTicket) })
	}
	c.useUp(got.Token, got.ExpiresIn, c.wechat.Accepts)
}

// fetched is an answer, or zero.
type fetched struct {
	Token     string `json:"access_token"`
	Ticket    string `json:"ticket"`
	ExpiresIn int64  `json:"expires_in"`
}

func (c *cachers) fetch(handler http.Handler, r *http.Request) fetched {
	r.Host = "127.0.0.1"
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	var got fetched
	if json.Unmarshal(w.Body.Bytes(), &got) != nil || got.Token+got.Ticket == "" || got.ExpiresIn <= 0 {
		c.unfed.Add(1)
		return fetched{}
	}
	return got
}

// useUp uses a credential when it is there, and in the last moment of its promise.
func (c *cachers) useUp(credential string, expiresIn int64, accepts func(string) int) {
	if credential == "" {
		return
	}
	keep(&c.shortest, expiresIn, -1)
	keep(&c.longest, expiresIn, 1)
	for _, wait := range []time.Duration{0, time.Duration(expiresIn)*time.Second - time.Nanosecond} {
		time.Sleep(wait)
		c.uses.Add(1)
		if accepts(credential) != 0 {
			c.invalid.Add(1)
		}
	}
}

// keep stores a value that is less than what is there, or more where sign is 1.
func keep(at *atomic.Int64, value, sign int64) {
	for old := at.Load(); value*sign > old*sign && !at.CompareAndSwap(old, value); old = at.Load() {
	}
}

// start starts a program every 13 s for so long, with each sidecar and each route
// in turn.
func (c *cachers) start(d time.Duration) {
	for i := range int(d / (13 * time.Second)) {
		c.running.Go(func() { c.program(i) })
		time.Sleep(13 * time.Second)
	}
}

// A program that caches a token for its expires_in never uses an invalid one.
func TestCompat_ExpiresInIsAPromise(t *testing.T) {
	for _, api := range []wechat.API{wechat.Token, wechat.StableToken} {
		t.Run(string(api), func(t *testing.T) {
			withCachers(t, api, func(c *cachers) {
				c.tickets = true
				c.start(6 * time.Hour)
				assert.Greater(c.t, c.wechat.Issues(""), 2, "several renewals")
				assert.Greater(c.t, len(c.wechat.Tickets()), 4, "of the ticket too")
				assert.Greater(c.t, c.longest.Load(), int64(3500))
			})
		})
	}
}

// The same while WeChat and memcached fail.
func TestCompat_ExpiresInDuringFailures(t *testing.T) {
	for _, api := range []wechat.API{wechat.Token, wechat.StableToken} {
		t.Run(string(api), func(t *testing.T) {
			withCachers(t, api, func(c *cachers) {
				c.start(50 * time.Minute)
				c.wechat.FailAll(-1) // at the time of a renewal, and for as long as the token lives
				c.start(time.Hour)
				c.wechat.Heal()
				c.start(30 * time.Minute)
				c.memcached.Restart()
				c.start(30 * time.Minute)
				c.memcached.SetFault(memcachetest.Refuse)
				c.start(time.Hour)
				c.memcached.SetFault(memcachetest.None)
				c.start(2 * time.Hour)
			})
		})
	}
}

// The same for tokens with a short life.
func TestCompat_ExpiresInOfShortTokens(t *testing.T) {
	withCachers(t, wechat.Token, func(c *cachers) {
		c.wechat.SetExpiresIn(3 * time.Minute) // shorter ones would use up the budget of ten requests in ten minutes
		time.Sleep(2 * time.Hour)              // the first one's life is over
		c.start(time.Hour)
		assert.Less(c.t, c.longest.Load(), int64(180))
	})
}
