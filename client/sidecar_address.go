package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// address is where the sidecar's API is.
type address struct {
	name   string // as configured, for errors
	base   string // the URL before a route
	socket string // the unix socket's path; empty for TCP
}

// parseAddress never quotes the address in an error: users put passwords into URLs.
func parseAddress(raw string) (address, error) {
	if raw == "" {
		raw = DefaultSidecar
	}
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, errors.New("not a URL; use http://host:port or unix:///path")
	}
	switch {
	case u.User != nil:
		return address{}, errors.New("has a user name or a password; use SIDECAR_AUTH_TOKEN_FILE")
	case u.RawQuery != "" || u.Fragment != "":
		return address{}, errors.New("has a query or a fragment; use http://host:port or unix:///path")
	case u.Scheme == "unix" && u.Host == "" && len(u.Path) > 1:
		return address{name: raw, base: "http://localhost", socket: u.Path}, nil
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
		return address{name: raw, base: strings.TrimRight(raw, "/")}, nil
	}
	return address{}, errors.New("unsupported address; use http://host:port or unix:///path")
}

// transport returns a transport to this address. It uses no proxy, so that tokens do
// not leave the cluster if HTTP_PROXY is set for the app's other requests.
// With a CA file, only certificates that its CAs signed are trusted.
func (a address) transport(caFile string) *http.Transport {
	var dialer net.Dialer
	t := &http.Transport{
		DialContext:         dialer.DialContext,
		MaxIdleConnsPerHost: 4, // callers share requests, so few are open at a time
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,

		MaxResponseHeaderBytes: maxAnswer,
	}
	if caFile != "" {
		t.DialTLSContext = dialTLS(caFile)
	}
	if a.socket != "" {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", a.socket)
		}
	}
	return t
}

// maxBearer bounds the bearer token's file: servers refuse a header of 8 KiB.
const maxBearer = 4 << 10

// readFile reads a regular file, and one byte more than limit if it is longer. Kubernetes'
// mounts are symbolic links. Opening without blocking keeps a FIFO from stopping the app.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// readBearers reads the bearer tokens, one or two. That happens for every request,
// because requests are rare and Kubernetes can change the file at any time.
func readBearers(path string) ([]string, error) {
	content, err := readFile(path, maxBearer)
	if err != nil {
		return nil, fmt.Errorf("read the bearer token: %w; check SIDECAR_AUTH_TOKEN_FILE", err)
	}
	bearers := strings.FieldsFunc(string(content), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range bearers {
		bearers[i] = strings.Trim(bearers[i], " \t")
	}
	bearers = slices.DeleteFunc(bearers, func(bearer string) bool { return bearer == "" })
	for _, bearer := range bearers {
		for i := range len(bearer) {
			if bearer[i] <= ' ' || bearer[i] >= 0x7f {
				return nil, fmt.Errorf("the bearer token in %s has a space, a byte order mark or another character that is not printable ASCII; use one word a line", path)
			}
		}
	}
	if len(bearers) < 1 || len(bearers) > 2 || len(content) > maxBearer {
		return nil, fmt.Errorf("the bearer token in %s is empty or too long; use one line, or two during a rotation, up to %d bytes", path, maxBearer)
	}
	return bearers, nil
}
