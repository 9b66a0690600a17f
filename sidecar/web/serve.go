package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

const (
	// requestPatience is how long a request may take to arrive, head and body
	// together.
	requestPatience = 5 * time.Second
	// opsPatience is the same for the ops listener: who connects and says nothing
	// must not keep the probes out.
	opsPatience = time.Second
	// answerPatience is how long a request may take from its head to its answer;
	// up to deadlineStep less, see conns.go.
	answerPatience = maxWait + 8*time.Second
	// idlePatience is how long a connection may rest between two requests: each
	// holds one of the places, of which a small pod has few.
	idlePatience = 15 * time.Second
	// maxHead bounds the head of a request in bytes; net/http adds 4,096. The longest
	// bearer token has 2,048.
	maxHead = 4 << 10

	// drainPatience is how long what is in flight may take once ctx has ended.
	drainPatience = 4 * time.Second
	// politePatience is when those who still wait are told that nothing came,
	// so that the answer arrives before their connection is cut.
	politePatience = drainPatience - 500*time.Millisecond
)

// Serve answers the requests of l until ctx ends. Then it stops accepting and
// lets what is in flight finish for at most 4 s; what waits for a credential
// after 3.5 s is answered with 503. It closes l, and returns an error only where
// l fails before ctx ends.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	return serve(ctx, bounded(l, apiShare.places(debug.SetMemoryLimit(-1))), h, requestPatience)
}

// ServeOps is Serve for the ops listener, where a request must arrive sooner.
func ServeOps(ctx context.Context, l net.Listener, h http.Handler) error {
	return serve(ctx, bounded(l, opsShare.places(debug.SetMemoryLimit(-1))), h, opsPatience)
}

func serve(ctx context.Context, l net.Listener, h http.Handler, patience time.Duration) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server := &http.Server{
		Handler:                      h,
		BaseContext:                  func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout:            patience,
		ReadTimeout:                  patience, // the same: net/http then sets one deadline, not two
		WriteTimeout:                 answerPatience,
		IdleTimeout:                  idlePatience,
		MaxHeaderBytes:               maxHead,
		DisableGeneralOptionsHandler: true,
		// What net/http logs is the strangers' doing, and may quote it.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		_ = server.Close() // the error to tell is the first
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	polite := time.AfterFunc(politePatience, cut)
	defer polite.Stop()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainPatience)
	defer cancel()
	if server.Shutdown(limit) != nil {
		_ = server.Close() // cuts what is left
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return nil
}
