//go:build bill

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// settled is when a sidecar has given back what its calls over TLS took: it does
// so 22 s after the last of them at most.
const settled = 24 * time.Second

// house is programs at rest.
type house struct {
	lodgers []lodger
	loops   []*loop // beside each of them one
	floor   *server
	fetch   *process
	started time.Time // when the last sidecar had all its tokens
}

// lodger is a sidecar with so many accounts, and a memcached of its own.
type lodger struct {
	*server
	memcached *memcached
	appIDs    []string
}

// newHouse starts a sidecar for each number of accounts, and waits until every
// account has its token.
func newHouse(ctx context.Context, r *rig, sizes ...int) (*house, error) {
	h := &house{}
	for _, n := range sizes {
		before := r.wechat.Issues("")
		s, err := r.startHome(ctx, n)
		h.lodgers = append(h.lodgers, s)
		if err != nil {
			return h, err
		}
		if err := s.until(ctx, 10*time.Millisecond, func() bool { return r.wechat.Issues("")-before >= n }); err != nil {
			return h, err
		}
	}
	h.started = time.Now()
	var err error
	if h.floor, err = r.startFloor(ctx, tcp); err != nil {
		return h, err
	}
	address, err := programtest.FreeAddress()
	if err != nil {
		return h, err
	}
	h.fetch, err = start(ctx, []string{"FETCH_URL=" + r.tokenURL(), "SSL_CERT_FILE=" + r.roots}, r.programs.fetch, "-listen", address)
	return h, err
}

// accounts makes n accounts at WeChat and a folder with their files.
func (r *rig) accounts(n int) (folder string, appIDs []string, err error) {
	folder = r.name("accounts")
	if err := os.Mkdir(filepath.Join(r.dir, folder), 0o700); err != nil {
		return "", nil, err
	}
	for i := range n {
		id := fmt.Sprintf("wx%s%08d", folder, i)
		r.wechat.AddAccount(id, appSecret)
		if _, err := r.write(filepath.Join(folder, id), appSecret); err != nil {
			return "", nil, err
		}
		appIDs = append(appIDs, id)
	}
	return filepath.Join(r.dir, folder), appIDs, nil
}

// startHome starts a sidecar of n accounts, on TCP as its neighbours are; one is the
// account of all rows. What was started before an error is returned too.
func (r *rig) startHome(ctx context.Context, n int) (l lodger, err error) {
	if l.memcached, err = startMemcached(ctx, "tcp", r.dir); err != nil {
		return l, err
	}
	environ := []string{"MEMCACHED_SERVERS=" + l.memcached.address, "MEMCACHED_KEY_PREFIX=" + billPrefix}
	if n == 1 {
		l.appIDs = []string{appID}
		l.server, err = r.startSidecar(ctx, tcp, environ...)
		return l, err
	}
	folder, appIDs, err := r.accounts(n)
	if err != nil {
		return l, err
	}
	address, err := programtest.FreeAddress()
	if err != nil {
		return l, err
	}
	l.appIDs = appIDs
	p, err := start(ctx, append(r.environ(append(environ, "WECHAT_ACCOUNTS_DIR="+folder)...), "SIDECAR_LISTEN="+address), r.programs.sidecar)
	if err != nil {
		return l, err
	}
	l.server = &server{p, address}
	return l, nil
}

func (h *house) close() {
	for _, l := range h.lodgers {
		if l.server != nil {
			l.kill()
		}
		if l.memcached != nil {
			l.memcached.process.kill()
		}
	}
	for _, l := range h.loops {
		l.close()
	}
	if h.floor != nil {
		h.floor.kill()
	}
	if h.fetch != nil {
		h.fetch.kill()
	}
}

func (r *rig) livez(ctx context.Context) (float64, error) {
	ops, err := programtest.FreeAddress()
	if err != nil {
		return 0, err
	}
	s, err := r.startSidecar(ctx, unixSocket, "SIDECAR_OPS_LISTEN="+ops)
	if err != nil {
		return 0, err
	}
	defer s.kill()
	at, err := s.firstAnswer(ctx, ops, "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	return float64(at.Sub(s.began)), err
}

func (r *rig) floorAnswers(ctx context.Context) (float64, error) {
	s, err := r.startFloor(ctx, tcp)
	if err != nil {
		return 0, err
	}
	defer s.kill()
	at, err := s.firstAnswer(ctx, s.address, tokenRequest)
	return float64(at.Sub(s.began)), err
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
