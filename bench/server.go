package main

import (
	"context"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// server is a program that answers HTTP.
type server struct {
	*process
	address string // host:port or unix:///path
}

// Transports, as rows name them.
const (
	tcp        = "TCP"
	unixSocket = "unix socket"
)

// address is one that nobody listens on.
func (r *rig) address(transport string) (string, error) {
	if transport == unixSocket {
		return r.socket(), nil
	}
	return programtest.FreeAddress()
}

// startSidecar starts a sidecar of the account of all rows.
func (r *rig) startSidecar(ctx context.Context, transport string, more ...string) (*server, error) {
	address, err := r.address(transport)
	if err != nil {
		return nil, err
	}
	environ := append(r.environ(oneAccount()...), "SIDECAR_LISTEN="+address)
	p, err := start(ctx, append(environ, more...), r.programs.sidecar)
	if err != nil {
		return nil, err
	}
	return &server{p, address}, nil
}

// startFloor starts what it is measured against.
func (r *rig) startFloor(ctx context.Context, transport string, args ...string) (*server, error) {
	address, err := r.address(transport)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, nil, r.programs.floor, append([]string{"-listen", address}, args...)...)
	if err != nil {
		return nil, err
	}
	return &server{p, address}, nil
}

// firstAnswer waits for the first answer to request, asking as often as a new
// connection can be made, and returns when it came.
func (s *server) firstAnswer(ctx context.Context, address string, request string) (time.Time, error) {
	var at time.Time
	err := s.until(ctx, 100*time.Microsecond, func() bool {
		c, err := newCaller(ctx, address, request)
		if err != nil {
			return false
		}
		at = time.Now()
		_ = c.conn.Close() // it has served
		return true
	})
	return at, err
}

// ready waits until the server gives a token.
func (s *server) ready(ctx context.Context) error {
	_, err := s.firstAnswer(ctx, s.address, tokenRequest)
	return err
}
