package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// server is a program that answers HTTP.
type server struct {
	*program.Process
	address string // host:port or unix:///path
}

// address returns one that no program listens on.
func (f *fixture) address(transport string) (string, error) {
	if transport == unixSocket {
		return "unix://" + filepath.Join(f.dir, f.name("s")), nil
	}
	return programtest.FreeAddress()
}

// startSidecar starts a sidecar of the account of all measurements.
func (f *fixture) startSidecar(ctx context.Context, transport string, more ...string) (*server, error) {
	return f.startSidecarOf(ctx, transport, append([]string{"WECHAT_APPID=" + appID, "WECHAT_APPSECRET=" + appSecret}, more...)...)
}

// startSidecarOf starts a sidecar of the accounts that its variables name.
func (f *fixture) startSidecarOf(ctx context.Context, transport string, accounts ...string) (*server, error) {
	address, err := f.address(transport)
	if err != nil {
		return nil, err
	}
	p, err := program.Start(ctx, f.environ(append(accounts, "SIDECAR_LISTEN="+address)...), f.program("sidecar"))
	return &server{p, address}, err
}

// startFloor starts bare net/http.
func (f *fixture) startFloor(ctx context.Context, transport string, args ...string) (*server, error) {
	address, err := f.address(transport)
	if err != nil {
		return nil, err
	}
	p, err := program.Start(ctx, nil, f.program("floor"), append([]string{"-listen", address}, args...)...)
	return &server{p, address}, err
}

// firstAnswer waits for the first answer to request, asking as often as a new
// connection can be made, and returns when it came.
func (s *server) firstAnswer(ctx context.Context, address, request string) (time.Time, error) {
	var at time.Time
	err := s.Until(ctx, 100*time.Microsecond, func() bool {
		c, err := newCaller(ctx, address, request)
		if err != nil {
			return false
		}
		at = time.Now()
		_ = c.conn.Close()
		return true
	})
	return at, err
}
