package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultTimeout is how long one attempt may take where Config says nothing.
const DefaultTimeout = 5 * time.Second

// Config says where WeChat is.
type Config struct {
	// BaseURLs are tried in order: another one only when nothing was sent to the
	// one before, because it could not be dialled or its TLS failed. Empty:
	// [DefaultBaseURL].
	BaseURLs []string
	// Timeout is for one attempt. Zero: [DefaultTimeout].
	Timeout time.Duration
	// Transport must support net/http/httptrace as *http.Transport does: one that
	// does not may have sent everything, so no second host is tried after it.
	// Nil: a transport that honours HTTPS_PROXY and NO_PROXY and uses a fresh
	// connection for every call.
	Transport http.RoundTripper
	// Observe is told how long each Fetch took, and how it failed. Nil: nobody.
	Observe func(took time.Duration, failure error)
}

// Client calls WeChat. It is safe for concurrent use, keeps no secret, and owns
// no goroutine.
type Client struct {
	bases     []*url.URL
	timeout   time.Duration
	transport http.RoundTripper
	observe   func(took time.Duration, failure error)
}

// New makes a client. It fails when a base URL does not pass [CheckBaseURL] or
// the timeout is negative; it names every bad URL by its place.
func New(cfg Config) (*Client, error) {
	c := &Client{timeout: cfg.Timeout, transport: cfg.Transport, observe: cfg.Observe}
	var errs []error
	if c.timeout < 0 {
		errs = append(errs, errors.New("negative timeout"))
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

// Fetch asks WeChat for a credential. Every error is an [*Error].
//
// It takes at most one Timeout for each base URL, and ctx ends everything. With
// [Token], WeChat issues at most one token for one call.
func (c *Client) Fetch(ctx context.Context, r Request) (Credential, error) {
	if c.observe == nil {
		return c.fetch(ctx, r)
	}
	start := time.Now()
	got, err := c.fetch(ctx, r)
	c.observe(time.Since(start), err)
	return got, err
}

func (c *Client) fetch(ctx context.Context, r Request) (Credential, error) {
	if e := r.check(); e != nil {
		return Credential{}, e
	}
	var unreached []string
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
	return Credential{}, failed
}

// CloseIdleConnections closes what the transport keeps open between calls.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
