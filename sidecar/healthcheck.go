package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// healthcheckWithin bounds a health check: what answers is on this machine.
const healthcheckWithin = 3 * time.Second

// runHealthcheck asks /readyz of the sidecar that has the same variables.
func runHealthcheck(ctx context.Context, i *invocation) int {
	flags := flag.NewFlagSet("healthcheck", flag.ContinueOnError)
	if exit, ok := i.parse(flags, 0); !ok {
		return exit
	}
	var cfg struct {
		OpsListen string `env:"SIDECAR_OPS_LISTEN"`
	}
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: env.ToMap(i.environ)}); err != nil {
		return i.failed(errors.New("the environment cannot be read"))
	}
	if cfg.OpsListen == "" {
		cfg.OpsListen = standardOf("SIDECAR_OPS_LISTEN")
	}
	network, address, ok := probeAddress(cfg.OpsListen)
	if !ok {
		return i.misused(flags, "SIDECAR_OPS_LISTEN is off or no address: there is nothing to ask")
	}
	if err := askReady(ctx, network, address); err != nil {
		return i.failed(err)
	}
	_, _ = fmt.Fprintln(i.stdout, "ready")
	return exitFine
}

// standardOf is the default of a variable.
func standardOf(name string) string {
	for _, v := range variables() {
		if v.name == name {
			return v.standard
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

func askReady(ctx context.Context, network, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckWithin)
	defer cancel()
	host := address
	if network == "unix" {
		host = "localhost"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/readyz", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("no answer from the sidecar: %w; is it running, with this SIDECAR_OPS_LISTEN?", err)
	}
	defer func() { _ = resp.Body.Close() }()
	why, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // what can be read is shown
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", strings.TrimSpace(string(why)))
	}
	return nil
}
