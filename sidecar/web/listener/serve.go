package listener

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
	// answerTimeout is how long a request has from its head to its answer. A request
	// waits at most 12 s for a renewal.
	answerTimeout = 20 * time.Second
	// idleTimeout is how long a connection may be idle between two requests. A small
	// pod admits few connections.
	idleTimeout = 15 * time.Second
	// maxHead is the largest head of a request in bytes; net/http adds 4,096. The
	// longest bearer token has 2,048.
	maxHead = 4 << 10

	// drainTimeout is how long open requests have once ctx has ended.
	drainTimeout = 4 * time.Second
	// giveUpAfter is when requests that still wait get their refusal, so that it
	// arrives before the connection is cut.
	giveUpAfter = drainTimeout - 500*time.Millisecond
)

// Limits bounds what one listener's clients can do.
type Limits struct {
	// Connections is how many may be open.
	Connections int
	// RequestTimeout is how long a request may take to arrive, head and body together.
	RequestTimeout time.Duration
}

// APILimits returns the limits of the API, by GOMEMLIMIT.
func APILimits() Limits {
	return Limits{apiShare.connections(debug.SetMemoryLimit(-1)), 5 * time.Second}
}

// WithTLS returns the limits of a listener with TLS, whose connections cost about twice as
// much memory.
func (l Limits) WithTLS() Limits {
	l.Connections /= 2
	return l
}

// OpsLimits returns the limits of the ops listener, by GOMEMLIMIT. Its requests must
// arrive within 1 s: a silent client must not keep the probes out.
func OpsLimits() Limits { return Limits{opsShare.connections(debug.SetMemoryLimit(-1)), time.Second} }

// Serve answers the requests of l until ctx ends. Then it stops accepting, and open
// requests have 4 s to finish; those that wait for a credential after 3.5 s get a 503.
// It closes l. It returns an error only if l fails before ctx ends.
func Serve(ctx context.Context, l net.Listener, h http.Handler, limits Limits) error {
	requests, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	server := &http.Server{
		Handler:                      h,
		BaseContext:                  func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout:            limits.RequestTimeout,
		ReadTimeout:                  limits.RequestTimeout, // the same: net/http then sets one deadline, not two
		WriteTimeout:                 answerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHead,
		DisableGeneralOptionsHandler: true,
		// net/http's messages can quote a client, who can be anyone.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(bounded(l, limits.Connections)) }()
	select {
	case err := <-failed:
		_ = server.Close() // the first error is the one to report
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	timer := time.AfterFunc(giveUpAfter, giveUp)
	defer timer.Stop()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if server.Shutdown(drain) != nil {
		_ = server.Close() // cuts the remaining connections
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return nil
}
