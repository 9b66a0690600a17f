package client

import (
	"context"
	"sync"
)

// flights are the requests to the sidecar that are under way. Callers who need
// the same answer share one. A flight belongs to the Client and not to the caller
// who began it, so that caller may give up while the others still get the answer.
// golang.org/x/sync/singleflight would be a dependency for every app, and its
// callers cannot leave early.
type flights struct {
	ctx    context.Context // of all flights: Close ends it
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	open   map[flightKey]*flight // mu guards it
	closed bool                  // mu guards it
}

// flightKey is what makes two requests the same one.
type flightKey struct {
	credential *credential
	// generation keeps a caller who comes after a Refresh out of a flight from
	// before it:
	//
	//	A: miss, asks the sidecar ───▶ answer T1 is on its way
	//	B: Refresh(T1) ──────────────▶ T2
	//	C: miss, would share A's flight and get T1, which B reported
	generation uint64
	// rejected is the credential that WeChat refused; empty for a plain read.
	rejected string
}

// flight is one request; done is closed once answer and err stand.
type flight struct {
	done   chan struct{}
	answer answer
	err    error
}

func newFlights() *flights {
	ctx, cancel := context.WithCancel(context.Background())
	return &flights{ctx: ctx, cancel: cancel, open: map[flightKey]*flight{}}
}

// do returns what ask returns, which runs once for all who wait under one key.
func (f *flights) do(ctx context.Context, key flightKey, ask func(context.Context) (answer, error)) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	current, err := f.join(key, ask)
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

func (f *flights) join(key flightKey, ask func(context.Context) (answer, error)) (*flight, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	if current, ok := f.open[key]; ok {
		return current, nil
	}
	current := &flight{done: make(chan struct{})}
	f.open[key] = current
	f.wg.Go(func() {
		current.answer, current.err = ask(f.ctx)
		if current.err != nil && f.ctx.Err() != nil {
			current.err = ErrClosed
		}
		f.mu.Lock()
		delete(f.open, key)
		f.mu.Unlock()
		close(current.done)
	})
	return current, nil
}

// close ends all flights and waits for them.
func (f *flights) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.wg.Wait()
}
