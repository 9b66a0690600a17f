// Package client gives a Go app its WeChat access_token. It never holds the
// AppSecret and never asks WeChat for a token: a sidecar does that, keeps the
// token in memcached under the AppID, and answers over HTTP when memcached cannot.
//
// # Use
//
// In a pod whose sidecar and memcached are where the variables say:
//
//	c, err := client.FromEnv() // or client.New(client.Config{AppID: "wx…"})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//
//	token, err := c.AccessToken(ctx)
//
// When WeChat refuses that token with 40001, 40014 or 42001, say so and go on
// with the one you get; every caller in the cluster who says the same about the
// same token shares one renewal:
//
//	token, err = c.Refresh(ctx, token)
//
// An *http.Client that does both by itself for requests to WeChat:
//
//	hc := c.HTTPClient(nil)
//	resp, err := hc.Get("https://api.weixin.qq.com/cgi-bin/user/get")
//
// Another account over the same connections is c.For("wx…"), a ticket is
// c.Ticket(ctx, client.JSAPI). GetAccessToken, AccessTokenServer and
// PowerWeChat fit the SDKs that Go developers use.
//
// # Where a token comes from
//
//  1. With Config.Local: from the process, where a token is kept that long.
//  2. From memcached: one get, the usual case.
//  3. On a miss, a damaged value or a failure there: from the sidecar. Callers
//     who need the same token at the same time share one request.
//  4. After a failure of memcached (a miss is none) the sidecar is asked straight
//     away for 1 s, then 2, 4, 8 and 10 s, so that an outage costs each of these
//     spells one time-out and not every call one.
//  5. When the sidecar cannot be reached either, a memcached that was passed
//     over is asked after all: nobody fails for our memory's sake.
//
// # What a caller waits for
//
// A context is looked at before memcached is asked and all the time while the
// sidecar is; memcached itself is bounded by Config.Timeout, once for a dial and
// once for the answer, and the sidecar by 13 s.
//
// # Failures
//
// What the sidecar refuses is an *Error with WeChat's own errcode. Everything
// else says what could not be reached and where to look. No error, and nothing
// printed with %v or %+v, holds a token or the sidecar's bearer token.
package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// ErrClosed says that the Client, or one that is related to it by For, is closed.
var ErrClosed = errors.New("client: closed")

// Client gives out the credentials of one account. It is safe for concurrent use.
type Client struct {
	shared *shared
	appID  string

	token   *credential
	tickets map[TicketKind]*credential
}

// shared is what the clients of all accounts have in common.
type shared struct {
	store   *memcache.Store
	health  map[string]*health // by the server's name; mu guards it
	sidecar *sidecar
	flights *flights
	hosts   hosts
	cfg     Config
	closed  atomic.Bool

	mu       sync.Mutex
	accounts map[string]*Client // by AppID, mu guards it
}

// New returns a Client. It connects to nothing: memcached and the sidecar may
// come later. An error names every field that is wrong.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(fieldNames); err != nil {
		return nil, err
	}
	return build(cfg)
}

// build takes a Config that was checked.
func build(cfg Config) (*Client, error) {
	store, err := memcache.New(memcache.Config{
		Servers: cfg.Servers,
		Hash:    cfg.Hash,
		Prefix:  cfg.Prefix,
		Timeout: cfg.Timeout,
		Dial:    cfg.Dial,
	})
	if err != nil {
		return nil, err
	}
	side, err := newSidecar(cfg)
	if err != nil {
		return nil, err
	}
	s := &shared{
		store:    store,
		sidecar:  side,
		flights:  newFlights(),
		hosts:    newHosts(cfg.WeChatHosts),
		cfg:      cfg,
		accounts: map[string]*Client{},
		health:   map[string]*health{},
	}
	return s.account(cfg.AppID), nil
}

// For returns the Client of another account over the same connections. The same
// AppID gives the same Client, so it may be called for every request; each AppID
// ever asked for is remembered, so do not pass on what a stranger typed. The
// methods of a Client with a bad AppID fail with memcache.ErrBadAppID.
func (c *Client) For(appID string) *Client {
	return c.shared.account(appID)
}

// healthOf is what is remembered of a server. The caller holds mu.
func (s *shared) healthOf(server string) *health {
	if s.health[server] == nil {
		s.health[server] = &health{}
	}
	return s.health[server]
}

func (s *shared) account(appID string) *Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.accounts[appID]; ok {
		return c
	}
	c := &Client{
		shared: s,
		appID:  appID,
		token:  newCredential(s, appID, memcache.AccessToken),
		tickets: map[TicketKind]*credential{
			JSAPI:  newCredential(s, appID, memcache.Kind(JSAPI+"_ticket")),
			WXCard: newCredential(s, appID, memcache.Kind(WXCard+"_ticket")),
		},
	}
	if memcache.ValidAppID(appID) { // the others are made anew: they are empty, and nobody can fill the memory with them
		s.accounts[appID] = c
	}
	return c
}

// Close ends the requests under way, waits for them and closes the connections,
// of this Client and of all that are related to it by For. Calls after it return
// ErrClosed. It always returns nil; the result is there for io.Closer.
func (c *Client) Close() error {
	s := c.shared
	if s.closed.Swap(true) {
		return nil
	}
	s.flights.close()
	s.mu.Lock()
	for _, account := range s.accounts {
		account.token.local.close()
	}
	s.mu.Unlock()
	s.sidecar.close()
	_ = s.store.Close() // closes idle connections: nothing is lost when one fails to
	return nil
}

// AccessToken returns an access_token that WeChat accepts: see the package
// comment for where it comes from. Usually that is one get from memcached, or
// with Config.Local the process itself.
func (c *Client) AccessToken(ctx context.Context) (string, error) {
	return c.token.get(ctx)
}

// Refresh says that WeChat refused rejected (40001, 40014 or 42001; never for
// 48001), and returns the current access_token: at once where there is a newer one
// already, else after one renewal, however many callers there are. An *Error
// with RetryAfter means that no renewal is allowed so soon after the last one.
// An empty rejected asks the sidecar for the current token and renews nothing.
func (c *Client) Refresh(ctx context.Context, rejected string) (string, error) {
	return c.token.refresh(ctx, rejected)
}
