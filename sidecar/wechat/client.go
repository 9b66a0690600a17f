package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// DefaultTimeout bounds one attempt if Config has no timeout.
const DefaultTimeout = 5 * time.Second

// Config says where WeChat is. Its zero value uses the defaults.
type Config struct {
	// BaseURLs are tried in order. The next one is tried only if nothing was sent to
	// the one before: the dial or TLS failed. Empty means [DefaultBaseURL].
	BaseURLs []string
	// Timeout bounds one attempt. Zero means [DefaultTimeout].
	Timeout time.Duration
	// Transport should support net/http/httptrace as *http.Transport does. Without it,
	// any request may have been sent, so no second host is tried. Nil means a
	// transport that uses HTTPS_PROXY and NO_PROXY for https, and a new connection for each
	// request.
	Transport http.RoundTripper
	// Observe is called after each Fetch with its request, its duration and its error. Nil
	// means that nothing is called.
	Observe func(r Request, took time.Duration, failure error)
}

// Client sends requests to WeChat. It is safe for concurrent use, stores no secret,
// and has no goroutine of its own.
type Client struct {
	bases     []*url.URL
	timeout   time.Duration
	transport http.RoundTripper
	observe   func(r Request, took time.Duration, failure error)
}

// New returns a client. It returns an error if a base URL does not pass
// [CheckBaseURL], or if the timeout is negative. It reports all errors together, and
// each bad URL by its position.
func New(cfg Config) (*Client, error) {
	c := &Client{timeout: cfg.Timeout, transport: cfg.Transport, observe: cfg.Observe}
	var errs []error
	if c.timeout < 0 {
		errs = append(errs, errors.New("the timeout is negative; use 0 for the default"))
	}
	if c.timeout == 0 {
		c.timeout = DefaultTimeout
	}
	bases := cfg.BaseURLs
	if len(bases) == 0 {
		bases = []string{DefaultBaseURL}
	}
	for i, s := range bases {
		u, err := parseBaseURL(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("base URL %d: %w", i+1, err))
			continue
		}
		c.bases = append(c.bases, u)
	}
	if c.transport == nil {
		c.transport = newTransport(c)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// Fetch requests a credential from WeChat. Every error is an [*Error].
//
// It takes at most one Timeout for each base URL, and ends with ctx. WeChat issues at
// most one credential.
func (c *Client) Fetch(ctx context.Context, r Request) (Credential, error) {
	if c.observe == nil {
		return c.fetch(ctx, r)
	}
	start := time.Now()
	got, err := c.fetch(ctx, r)
	c.observe(r, time.Since(start), err)
	return got, err
}

// Check requests openapi/quota/get to see whether WeChat accepts an access_token: that issues
// nothing, and uses up no quota of tokens. It returns nil if WeChat does. Otherwise it
// returns an [*Error], of class Refused if WeChat refuses the token. It is not observed.
func (c *Client) Check(ctx context.Context, appID, token string) error {
	_, err := c.fetch(ctx, Request{API: quotaGet, AppID: appID, Token: token})
	return err
}

// Quota is WeChat's own count of an account's requests to an API.
type Quota struct {
	// Used is how many requests WeChat has counted today, of Limit that it allows. WeChat's
	// pages say that it can be 1 % off. A Limit of 0 means that there is no count.
	Used, Limit int
}

// Quota requests openapi/quota/get about an API for tokens, under an access_token of the
// account. Every error is an [*Error]. It is not observed.
func (c *Client) Quota(ctx context.Context, appID, token string, about API) (Quota, error) {
	got, err := c.fetch(ctx, Request{API: quotaGet, AppID: appID, Token: token, about: about})
	return got.quota, err
}

// ClearQuota requests clear_quota/v2, which resets WeChat's counts of an account's requests.
// WeChat allows that ten times a month. Every error is an [*Error]. It is not observed.
func (c *Client) ClearQuota(ctx context.Context, appID, secret string) error {
	_, err := c.fetch(ctx, Request{API: clearQuota, AppID: appID, Secret: secret})
	return err
}

// Verify requests stable_token to see whether an AppSecret is right, and drops the token.
// That invalidates no token: neither one of the classic API, nor one of stable_token. It
// returns nil or an [*Error]. It is not observed, and has a User-Agent of its own.
func (c *Client) Verify(ctx context.Context, appID, secret string) error {
	_, err := c.fetch(ctx, Request{API: StableToken, AppID: appID, Secret: secret, verifies: true})
	return err
}

// Exchange sends a user's code, for CodeToSession or OAuth, and returns WeChat's answer: a
// JSON object with an openid and without an errcode. Otherwise it returns an [*Error].
// MayHaveIssued says whether the code may be used up. A code is sent once: over a connection
// of its own, and to a further host only if nothing was sent before. It is not observed.
func (c *Client) Exchange(ctx context.Context, r Request) (string, error) {
	got, err := c.fetch(ctx, r)
	return got.answer, err
}

func (c *Client) fetch(ctx context.Context, r Request) (Credential, error) {
	if e := r.check(); e != nil {
		return Credential{}, e
	}
	var unreached []string
	untrusted := false
	for _, base := range c.bases {
		cred, failed, next := c.try(ctx, base, r)
		if failed == nil {
			return cred, nil
		}
		if next || failed.MayHaveIssued { // WeChat did not answer
			failed.cause = ctx.Err()
		}
		if !next {
			return Credential{}, failed
		}
		unreached = append(unreached, failed.Message)
		untrusted = untrusted || failed.Hint == hint.Certificate(base.Host)
		if failed.cause != nil {
			break
		}
	}
	hosts := make([]string, len(unreached))
	for i := range hosts {
		hosts[i] = c.bases[i].Host
	}
	failed := unsent(strings.Join(hosts, ", "), strings.Join(unreached, "; "))
	failed.cause = ctx.Err()
	if untrusted {
		failed.Hint = hint.Certificate(strings.Join(hosts, ", "))
	}
	return Credential{}, failed
}

// CloseIdleConnections closes the connections that the transport keeps open.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
