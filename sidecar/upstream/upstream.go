// Package upstream asks other sidecars for credentials, instead of WeChat. They have the
// AppSecret, and this sidecar does not.
//
// A question is a request to the API of package web, with a header by which the upstream
// knows that a sidecar asks. Its answer then also has the number of its record, and the time
// until the credential expires:
//
//	GET /v1/{appid}/access_token                X-Wxsidecar-Upstream: 1
//	→ {"access_token":"…","expires_in":3123,"number":1763811900123,"life":6748}
//
// Users' codes are passed on too, see [Client.Exchange].
//
// A question invalidates nothing. So any failure but a refusal leads to the next URL. No
// proxy is used, and no redirect is followed. No error contains a bearer token, a
// credential or a code.
package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Config says where the upstream is.
type Config struct {
	// URLs are tried in order, beginning with the one that answered last. Each must pass
	// CheckURL.
	URLs []string
	// CAFile has the certificates, in PEM, that the upstream's must be signed by. It is read
	// for each connection. Empty: the system's.
	CAFile string
	// Bearers returns the bearer tokens: the second one is sent if the first is refused. It is
	// called for each question. Nil: none is sent.
	Bearers func() []string
	// Before is called before each question. Nil: nothing is.
	Before func()
	// ReadOnly is true if the bearer token is a reader's: no credential is reported.
	ReadOnly bool
	// Transport is for tests. It should support net/http/httptrace. Nil: the package's own.
	Transport http.RoundTripper
}

// Client implements keeper.Upstream, and Exchange is a login.Exchange. It is safe for concurrent use.
type Client struct {
	bases     []*url.URL
	bearers   func() []string
	before    func()
	readOnly  bool
	transport http.RoundTripper
	single    http.RoundTripper // keeps no connection
	last      atomic.Int32      // the index of the URL that answered last
}

// New returns a Client. It fails if a URL does not pass CheckURL.
func New(cfg Config) (*Client, error) {
	c := &Client{bearers: cfg.Bearers, before: cfg.Before, readOnly: cfg.ReadOnly, transport: cfg.Transport, single: cfg.Transport}
	for _, raw := range cfg.URLs {
		if err := CheckURL(raw); err != nil {
			return nil, err
		}
		u, err := url.Parse(raw)
		if err != nil {
			return nil, err
		}
		c.bases = append(c.bases, u)
	}
	if c.bearers == nil {
		c.bearers = func() []string { return nil }
	}
	if c.before == nil {
		c.before = func() {}
	}
	if c.transport == nil {
		single := newTransport(cfg.CAFile)
		single.DisableKeepAlives = true
		c.transport, c.single = newTransport(cfg.CAFile), single
	}
	return c, nil
}

// CheckURL returns an error if the address of an upstream is not http://host:port or
// https://host:port. The error does not quote it: users put passwords into URLs.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return errors.New("not a URL like https://wxsidecar.wx.svc:7200")
	case u.User != nil:
		return errors.New("it has a user name or a password; use SIDECAR_UPSTREAM_TOKEN_FILE")
	case u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return errors.New("it has more than a scheme, a host and a port")
	}
	return nil
}

// Host returns the host of a URL that passes CheckURL, without its port, and whether
// requests to it are encrypted.
func Host(raw string) (host string, encrypted bool) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", false
	}
	return u.Hostname(), u.Scheme == "https"
}

// Bearer implements keeper.Upstream.
func (c *Client) Bearer() (fingerprint string) {
	return memcache.Fingerprint(strings.Join(c.bearers(), "\n"))
}

// authorized calls send with each bearer token, or with "" if there is none, until one is not
// refused with 401.
func (c *Client) authorized(send func(bearer string) (status int)) {
	c.before()
	bearers := c.bearers()
	if len(bearers) == 0 {
		bearers = []string{""}
	}
	for _, bearer := range bearers {
		if send(bearer) != http.StatusUnauthorized {
			return
		}
	}
}

// Ask implements keeper.Upstream.
func (c *Client) Ask(ctx context.Context, q keeper.Question) (protocol.Answer, error) {
	first, n := int(c.last.Load()), len(c.bases)
	var failed *wechat.Error
	for i := range n {
		at := (first + i) % n
		within, cancel := context.WithTimeout(ctx, share(ctx, n-i))
		answer, why, next := c.askOne(within, c.bases[at], q)
		cancel()
		if why != nil && errors.Is(ctx.Err(), context.Canceled) {
			return protocol.Answer{}, context.Canceled
		}
		if why == nil {
			c.last.Store(int32(at)) //nolint:gosec // a small index
			return answer, nil
		}
		failed = worse(failed, why)
		if !next {
			break
		}
	}
	return protocol.Answer{}, failed
}

// askTimeout bounds one question if the caller has no deadline.
const askTimeout = 10 * time.Second

// share returns the time for one of n URLs that are left.
func share(ctx context.Context, n int) time.Duration {
	left := askTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	return left / time.Duration(n)
}

// worse returns the failure that says more: one after the question was sent, rather than one
// to connect. The first one names the hosts of both.
func worse(a, b *wechat.Error) *wechat.Error {
	switch {
	case a == nil:
		return b
	case a.Unsent == b.Unsent:
		b.Message = a.Message + "; " + b.Message
		return b
	case a.Unsent:
		return b
	}
	return a
}

// Check asks each URL for an account's access_token. It returns what failed, or nil, by the
// URL's host.
func (c *Client) Check(ctx context.Context, appID string) map[string]*wechat.Error {
	all := map[string]*wechat.Error{}
	for _, base := range c.bases {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		_, all[base.Host], _ = c.askOne(ctx, base, keeper.Question{AppID: appID, Kind: memcache.AccessToken})
		cancel()
	}
	return all
}

// newTransport returns the default transport. A connection is kept for less than the usual
// time between two questions: so with few accounts each question can reach another sidecar
// of a Service, and with many they share connections.
func newTransport(caFile string) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		DialTLSContext:         dialTLS(caFile),
		IdleConnTimeout:        8 * time.Second,
		MaxIdleConnsPerHost:    2,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswer,
	}
}
