package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// askWithin bounds a question to the ops listener: what answers is on this
// machine.
const askWithin = 3 * time.Second

// opsListener is where the ops listener of a sidecar is.
type opsListener struct{ network, address string }

// noOps is what is wrong where there is none.
const noOps = "SIDECAR_OPS_LISTEN is off or no address: there is nothing to ask"

// opsOf is the ops listener of the sidecar that has the same variables; false
// where it has none.
func opsOf(environ []string) (opsListener, bool) {
	var cfg struct {
		OpsListen string `env:"SIDECAR_OPS_LISTEN"`
	}
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: env.ToMap(environ)}); err != nil {
		return opsListener{}, false
	}
	if cfg.OpsListen == "" {
		cfg.OpsListen = standardOf("SIDECAR_OPS_LISTEN")
	}
	network, address, ok := probeAddress(cfg.OpsListen)
	return opsListener{network, address}, ok
}

// standardOf is the default of a variable.
func standardOf(name string) string {
	for _, v := range variables() {
		if v.name == name {
			return v.defaultValue
		}
	}
	return ""
}

// probeAddress is how to reach a listener from its own machine.
func probeAddress(listen string) (network, address string, ok bool) {
	if path, isUnix := strings.CutPrefix(listen, "unix://"); isUnix {
		return "unix", path, path != ""
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", "", false
	}
	switch ip := net.ParseIP(host); {
	case host == "", ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return "tcp", net.JoinHostPort(host, port), true
}

// ask gets a path: its status, and its body up to so many bytes.
func (o opsListener) ask(ctx context.Context, path string, most int64) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	host := o.address
	if o.network == "unix" {
		host = "localhost"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return 0, nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, o.network, o.address)
	}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, fmt.Errorf("no answer from the sidecar: %w; is it running, with this SIDECAR_OPS_LISTEN?", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return 0, nil, fmt.Errorf("the sidecar's answer broke off: %w", err)
	}
	return resp.StatusCode, body, nil
}
