package client

import (
	"context"
	"sync"
)

// requests are the requests to the sidecar that are under way. Callers who need the
// same answer share one. A request belongs to the Client and not to the caller that
// began it, so that this caller can give up while the others still get the answer.
// The callers of golang.org/x/sync/singleflight cannot leave early.
type requests struct {
	ctx    context.Context // of all requests; close cancels it
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	open   map[requestKey]*request // mu guards it
	closed bool                    // mu guards it
}

// requestKey is equal for requests with the same answer.
type requestKey struct {
	credential *credential
	// generation separates a caller after a Refresh from a request before it:
	//
	//	A: miss, asks the sidecar ───▶ answer T1 is on its way
	//	B: Refresh(T1) ──────────────▶ T2
	//	C: miss, would share A's request and get T1, which B reported
	generation uint64
	// rejected is the credential that WeChat refused; empty for a plain read.
	rejected string
}

// request is one request; answer and err are set before done is closed.
type request struct {
	done   chan struct{}
	answer answer
	err    error
}

func newRequests() *requests {
	ctx, cancel := context.WithCancel(context.Background())
	return &requests{ctx: ctx, cancel: cancel, open: map[requestKey]*request{}}
}

// share returns the result of ask, which runs once for all callers with the same key.
func (r *requests) share(ctx context.Context, key requestKey, ask func(context.Context) (answer, error)) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	current, err := r.join(key, ask)
	if err != nil {
		return "", err
	}
	select {
	case <-current.done:
		return current.answer.credential, current.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (r *requests) join(key requestKey, ask func(context.Context) (answer, error)) (*request, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if current, ok := r.open[key]; ok {
		return current, nil
	}
	current := &request{done: make(chan struct{})}
	r.open[key] = current
	r.wg.Go(func() {
		current.answer, current.err = ask(r.ctx)
		if current.err != nil && r.ctx.Err() != nil {
			current.err = ErrClosed
		}
		r.mu.Lock()
		delete(r.open, key)
		r.mu.Unlock()
		close(current.done)
	})
	return current, nil
}

// alone runs ask for one caller, until ctx ends or the Client is closed.
func (r *requests) alone(ctx context.Context, ask func(context.Context) error) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}
	r.wg.Add(1)
	r.mu.Unlock()
	defer r.wg.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	err := ask(ctx)
	if err != nil && r.ctx.Err() != nil {
		return ErrClosed
	}
	return err
}

// close cancels all requests and waits for them.
func (r *requests) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}
