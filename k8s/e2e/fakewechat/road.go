package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
)

// road is the way to the sidecar, and notices when it is used: the library does
// not tell where it found a token. It is an app's ordinary transport otherwise:
// connections are kept, and break when a sidecar ends.
type road struct {
	transport *http.Transport
	used      atomic.Bool
}

func newRoad(sidecar string) (*road, error) {
	u, err := url.Parse(cmp.Or(sidecar, client.DefaultSidecar))
	if err != nil {
		return nil, fmt.Errorf("SIDECAR_URL is no URL")
	}
	dialer := &net.Dialer{}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second}
	if u.Scheme == "unix" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", u.Path)
		}
	}
	return &road{transport: transport}, nil
}

// RoundTrip implements http.RoundTripper.
func (r *road) RoundTrip(req *http.Request) (*http.Response, error) {
	r.used.Store(true)
	return r.transport.RoundTrip(req)
}
