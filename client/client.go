// Package client gives a Go app its WeChat access_token. It never holds the
// AppSecret and never requests a token from WeChat: a sidecar does that, stores the
// token in memcached under the AppID, and answers over HTTP if memcached cannot.
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
// When WeChat refuses that token with 40001, 40014 or 42001, report it and use the
// token that Refresh returns. All callers in the cluster who report the same token
// share one renewal:
//
//	token, err = c.Refresh(ctx, token)
//
// An *http.Client that does both for requests to WeChat:
//
//	hc := c.HTTPClient(nil)
//	resp, err := hc.Get("https://api.weixin.qq.com/cgi-bin/user/get")
//
// c.For("wx…") is another account over the same connections.
// c.Ticket(ctx, client.JSAPI) returns a ticket, and c.JSConfig(ctx, url) signs a page
// with it. c.Login(ctx, code) and c.OAuth(ctx, code) exchange the codes of users.
// GetAccessToken, AccessTokenServer and PowerWeChat fit the SDKs that Go developers use.
//
// # Where a token comes from
//
//  1. With Config.Local: from the process, until that time is over.
//  2. From memcached: one get, the usual case. If a caller of this process reports that
//     token at the moment, the call waits for the report, for at most 1 s since it began.
//  3. On a miss, a damaged value or a failure of memcached: from the sidecar. Callers
//     who need the same token at the same time share one request.
//  4. After a failure of memcached (a miss is no failure), calls go straight to the
//     sidecar for 1 s, then 2, 4, 8 and 10 s. Each pause ends with one call that
//     tries memcached, so an outage costs one timeout a pause and not one a call.
//  5. If the sidecar cannot be reached either, the call tries memcached even within a
//     pause: a stale health mark never fails a call.
//
// # How long a call waits
//
// AccessToken checks the context before it reads memcached, and watches it while it
// waits for the sidecar. Memcached.Timeout bounds a dial to memcached, and each read and
// write. An answer that arrives in pieces can take eleven timeouts, and TLS and a password
// take up to a second more for each new connection. The sidecar has 13 s.
//
// # Failures
//
// A refusal by the sidecar is an *Error with WeChat's errcode. Every other error says
// what could not be reached, and what to check. No error, and nothing printed with %v
// or %+v, holds a token, the sidecar's bearer token or what a login returned.
//
// # Files
//
// The core is in client.go, credential.go (the order above), ticket.go, jsconfig.go, login.go, health.go,
// local.go, report.go, requests.go, sidecar*.go and config*.go. error.go has Error, and observe.go
// what Config.Observe gets. The RoundTripper behind HTTPClient is in transport*.go, the
// adapters for SDKs are in adapters.go.
package client

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// ErrClosed is returned by a Client after Close, its own or a related one's.
var ErrClosed = errors.New("client: closed")

// Client returns the credentials of one account. It is safe for concurrent use.
type Client struct {
	shared *shared
	appID  string

	token   *credential
	tickets map[TicketKind]*credential
	backoff backoff // of HTTPClient's reports
}

// shared is what the Clients of all accounts have in common.
type shared struct {
	store    *memcache.Store
	sidecar  *sidecar
	requests *requests
	hosts    hosts
	cfg      Config
	closed   atomic.Bool

	mu       sync.Mutex
	accounts map[string]*Client // by AppID, mu guards it
	health   map[string]*health // by the server's name, mu guards it
}

// New returns a Client. It does not connect yet: memcached and the sidecar can
// start later. The error names every invalid field.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(fieldNames); err != nil {
		return nil, err
	}
	return build(cfg)
}

// build returns a Client for a valid Config.
func build(cfg Config) (*Client, error) {
	if cfg.withoutMemcached() {
		cfg.Servers = nil
		cfg.Memcached = Memcached{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errOff }}
	}
	store, err := memcache.New(memcache.Config{
		Servers:  cfg.Servers,
		Hash:     cfg.Memcached.Hash,
		Prefix:   cfg.Memcached.Prefix,
		Timeout:  cfg.Memcached.Timeout,
		Dial:     cfg.Memcached.Dial,
		Security: cfg.Memcached.security(),

		SeveralAddresses: warnOfAddresses(cmp.Or(cfg.Log, slog.Default())),
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
		requests: newRequests(),
		hosts:    newHosts(cfg.WeChatHosts),
		cfg:      cfg,
		accounts: map[string]*Client{},
		health:   map[string]*health{},
	}
	return s.account(cfg.AppID), nil
}

// For returns the Client of another account over the same connections. It returns
// the same Client for the same AppID, so an app can call it for every request. It
// remembers every AppID, so do not pass AppIDs that a user typed. The methods of a
// Client with an invalid AppID fail with memcache.ErrBadAppID.
func (c *Client) For(appID string) *Client {
	return c.shared.account(appID)
}

// healthOf returns the health of a server. The caller holds mu.
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
	if memcache.ValidAppID(appID) { // an invalid one is not remembered, so that such AppIDs cannot fill the memory
		s.accounts[appID] = c
	}
	return c
}

// Close cancels the requests under way, waits for them and closes the connections
// of this Client and of all that are related to it by For. Calls after it return
// ErrClosed. The error is always nil, and there for io.Closer.
func (c *Client) Close() error {
	s := c.shared
	if s.closed.Swap(true) {
		return nil
	}
	s.requests.close()
	s.mu.Lock()
	for _, account := range s.accounts {
		account.token.local.close()
	}
	s.mu.Unlock()
	s.sidecar.close()
	_ = s.store.Close() // closes idle connections: a failure loses nothing
	return nil
}

// AccessToken returns an access_token that WeChat accepts. The package comment says
// where it comes from: usually one get from memcached, or with Config.Local the
// process itself.
func (c *Client) AccessToken(ctx context.Context) (string, error) {
	return c.token.get(ctx)
}

// Refresh reports that WeChat refused the token rejected (40001, 40014 or 42001;
// never 48001), and returns the current one. That is at once if a newer one exists,
// else after one renewal for all callers. An *Error with RetryAfter means that it is
// too early for another renewal. If rejected is empty, Refresh returns the sidecar's
// current token and reports nothing.
func (c *Client) Refresh(ctx context.Context, rejected string) (string, error) {
	return c.token.refresh(ctx, rejected)
}
