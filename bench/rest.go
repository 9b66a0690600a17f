package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// settled is when a sidecar has given back what its calls over TLS took: it does
	// so 22 s after the last of them at most.
	settled = 24 * time.Second
	// restRequests are asked of the API before its memory is looked at again.
	restRequests = 10_000
)

// measureRest looks at programs that have nothing to do: what they occupy after
// their first call over TLS, with the system's root certificates, and what they
// spend. Its floors: net/http that has never called out, and one that has.
func measureRest(ctx context.Context, r *rig) ([]row, error) {
	if _, err := os.Stat("/proc/self/smaps_rollup"); err != nil {
		return []row{{what: "memory and CPU at rest", note: "not measured: needs Linux's /proc"}}, nil
	}
	sizes := []int{1, 100}
	if !r.quick {
		sizes = append(sizes, 10_000)
	}
	h, err := newHouse(ctx, r, sizes...)
	if err != nil {
		h.close()
		return nil, err
	}
	defer h.close()
	if err := pause(ctx, time.Until(h.started.Add(settled))); err != nil {
		return nil, err
	}
	floor, err := h.floor.memory()
	if err != nil {
		return nil, err
	}
	called, err := h.fetch.memory()
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, l := range h.lodgers {
		ours, err := l.memory()
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{
			what: fmt.Sprintf("private memory at rest, accounts: %d", l.accounts),
			ours: megabytes(ours.anonymous), floor: megabytes(floor.anonymous), ratio: fmt.Sprintf("%.2f", ours.anonymous/floor.anonymous),
			note: fmt.Sprintf("resident %s to %s; net/http after one https call: %s, resident %s",
				megabytes(ours.resident), megabytes(floor.resident), megabytes(called.anonymous), megabytes(called.resident)),
		})
	}
	idle, err := h.idle(ctx, time.Duration(r.pick(30, 8))*time.Second)
	if err != nil {
		return nil, err
	}
	rows = append(rows, idle...)
	busy, err := h.afterRequests(ctx)
	return append(rows, busy), err
}

// house is programs at rest.
type house struct {
	lodgers []lodger
	floor   *server
	fetch   *process
	started time.Time // when the last sidecar had all its tokens
}

// lodger is a sidecar with so many accounts.
type lodger struct {
	*server
	accounts int
}

// newHouse starts a sidecar for each number of accounts, and waits until every
// account has its token.
func newHouse(ctx context.Context, r *rig, sizes ...int) (*house, error) {
	h := &house{}
	for _, n := range sizes {
		before := r.wechat.Issues("")
		s, err := r.startHome(ctx, n)
		if err != nil {
			return h, err
		}
		h.lodgers = append(h.lodgers, lodger{s, n})
		if err := s.until(ctx, 10*time.Millisecond, func() bool { return r.wechat.Issues("")-before >= n }); err != nil {
			return h, err
		}
	}
	h.started = time.Now()
	var err error
	if h.floor, err = r.startFloor(ctx, unixSocket); err != nil {
		return h, err
	}
	address, err := freePort(ctx)
	if err != nil {
		return h, err
	}
	h.fetch, err = start(ctx, []string{"FETCH_URL=" + r.tokenURL(), "SSL_CERT_FILE=" + r.roots}, r.programs.fetch, "-listen", address)
	return h, err
}

// startHome starts a sidecar of n accounts; one is the account of all rows.
func (r *rig) startHome(ctx context.Context, n int) (*server, error) {
	if n == 1 {
		return r.startSidecar(ctx, unixSocket)
	}
	folder, err := r.accounts(n)
	if err != nil {
		return nil, err
	}
	address := r.socket()
	p, err := start(ctx, append(r.environ("WECHAT_ACCOUNTS_DIR="+folder), "SIDECAR_LISTEN="+address), r.programs.sidecar)
	if err != nil {
		return nil, err
	}
	return &server{p, address}, nil
}

func (h *house) close() {
	for _, l := range h.lodgers {
		l.kill()
	}
	if h.floor != nil {
		h.floor.kill()
	}
	if h.fetch != nil {
		h.fetch.kill()
	}
}

// idle is the processor time that each spends while nobody asks.
func (h *house) idle(ctx context.Context, span time.Duration) ([]row, error) {
	all := []*process{h.floor.process}
	for _, l := range h.lodgers {
		all = append(all, l.process)
	}
	before := make(samples, len(all))
	after := make(samples, len(all))
	var err error
	for i, p := range all {
		if before[i], err = p.cpu(); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, span); err != nil {
		return nil, err
	}
	for i, p := range all {
		if after[i], err = p.cpu(); err != nil {
			return nil, err
		}
	}
	spent := after.minus(before)
	var rows []row
	for i, l := range h.lodgers {
		rows = append(rows, row{
			what: fmt.Sprintf("CPU in %d idle seconds, accounts: %d", int(span.Seconds()), l.accounts),
			ours: milliseconds(spent[i+1]), floor: milliseconds(spent[0]),
			note: fmt.Sprintf("%.3f %% of a core", 100*spent[i+1]/float64(span)),
		})
	}
	return rows, nil
}

// afterRequests is the memory of the sidecar with one account and of the floor
// after some thousand requests each.
func (h *house) afterRequests(ctx context.Context) (row, error) {
	var found []memory
	for _, s := range []*server{h.lodgers[0].server, h.floor} {
		c, err := newCrowd(ctx, s, apiCallers)
		if err != nil {
			return row{}, err
		}
		_, err = c.batch(restRequests)
		c.close()
		if err != nil {
			return row{}, err
		}
		m, err := s.memory()
		if err != nil {
			return row{}, err
		}
		found = append(found, m)
	}
	ours, floor := found[0], found[1]
	return row{
		what: fmt.Sprintf("private memory after %d requests over %d connections", restRequests, apiCallers),
		ours: megabytes(ours.anonymous), floor: megabytes(floor.anonymous), ratio: fmt.Sprintf("%.2f", ours.anonymous/floor.anonymous),
		note: fmt.Sprintf("resident %s to %s", megabytes(ours.resident), megabytes(floor.resident)),
	}, nil
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
