package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// opsTimeout is the limit of a request to the ops listener on this machine.
const opsTimeout = 3 * time.Second

// opsListener is the address of a sidecar's ops listener.
type opsListener struct{ network, address string }

// noOps is the error if there is none.
const noOps = "SIDECAR_OPS_LISTEN is off or not an address; set it to the sidecar's ops listener"

// opsOf returns the ops listener of the sidecar with the same variables. It returns
// false if there is none.
func opsOf(environ []string) (opsListener, bool) {
	var cfg config
	_ = env.ParseWithOptions(&cfg, env.Options{Environment: env.ToMap(environ)}) // other variables can be wrong
	network, address, ok := probeAddress(cfg.OpsListen)
	return opsListener{network, address}, ok
}

// ops parses the line of a command without arguments, and returns the ops listener of the
// sidecar with the same variables. If it returns false, the command ends with exit.
func (i *invocation) ops(command string) (ops opsListener, exit int, ok bool) {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	if exit, ok = i.parse(flags, 0); !ok {
		return opsListener{}, exit, false
	}
	if ops, ok = opsOf(i.environ); !ok {
		exit = i.misused(flags, noOps)
	}
	return ops, exit, ok
}

// probeAddress returns the address of a listener as seen from its own machine.
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

// get requests a path. It returns the status, and at most limit bytes of the body.
func (o opsListener) get(ctx context.Context, path string, limit int64) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, opsTimeout)
	defer cancel()
	// Every ops listener knows this Host, whatever its address is.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, o.network, o.address)
	}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, fmt.Errorf("no answer from the sidecar: %w; check that it is running with this SIDECAR_OPS_LISTEN", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil {
		return 0, nil, fmt.Errorf("read the sidecar's answer: %w", err)
	}
	return resp.StatusCode, body, nil
}

// runHealthcheck requests /readyz from the sidecar with the same variables.
func runHealthcheck(ctx context.Context, i *invocation) int {
	ops, exit, ok := i.ops("healthcheck")
	if !ok {
		return exit
	}
	status, reason, err := ops.get(ctx, "/readyz", 4<<10)
	if err != nil {
		return i.failed(err)
	}
	if status != http.StatusOK {
		return i.failed(fmt.Errorf("not ready: %s", strings.TrimSpace(string(reason))))
	}
	_, _ = fmt.Fprintln(i.stdout, "ready")
	return exitFine
}

// askOwn makes a client ask the sidecar with this SIDECAR_LISTEN and SIDECAR_TLS_CERT_FILE.
func askOwn(cfg *client.Config, listen, certFile string) error {
	network, address, _ := probeAddress(listen) // New refuses an empty one
	cfg.Sidecar = map[string]string{"tcp": "http://", "unix": "unix://"}[network] + address
	if certFile == "" || network != "tcp" {
		return nil
	}
	config, err := listener.ToSelf(certFile)
	if err != nil {
		return fmt.Errorf("SIDECAR_TLS_CERT_FILE: %w", err)
	}
	cfg.Sidecar, cfg.CAFile, cfg.Transport = "https://"+address, "", &http.Transport{TLSClientConfig: config}
	return nil
}
