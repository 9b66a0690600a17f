package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// sidecarRoad is the way to the sidecar, and notices when it is used: the client
// library does not tell where it found a token.
type sidecarRoad struct {
	transport *http.Transport
	used      atomic.Bool
}

func newSidecarRoad(address string) *sidecarRoad {
	dialer := &net.Dialer{}
	transport := &http.Transport{DialContext: dialer.DialContext, IdleConnTimeout: 30 * time.Second, DisableCompression: true}
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
	}
	return &sidecarRoad{transport: transport}
}

// RoundTrip implements http.RoundTripper.
func (r *sidecarRoad) RoundTrip(req *http.Request) (*http.Response, error) {
	r.used.Store(true)
	return r.transport.RoundTrip(req)
}

// source is where the last token came from.
func (r *sidecarRoad) source() string {
	if r.used.Load() {
		return "sidecar"
	}
	return "memcached"
}
