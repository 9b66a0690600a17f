package wechat

import (
	"context"
	"net"
	"time"
)

// dialAgain is after how long without a connection another one is tried beside the first.
// A lost DNS query is repeated after 5 s, and a lost SYN after 1, 3 and 7 s. Both are lost
// while a pod's network is not there yet.
const dialAgain = time.Second

// dialContext returns a function for http.Transport. It connects within the timeout of an
// attempt.
func dialContext(timeout time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return repeated(func() (net.Conn, error) {
			// A Resolver of its own: a shared one would wait for the query that was lost.
			return (&net.Dialer{Resolver: new(net.Resolver)}).DialContext(ctx, network, address)
		})
	}
}

// repeated returns the first result of a dial that starts again every second beside those
// before it. Connections that come later are closed.
func repeated(dial func() (net.Conn, error)) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	results, done := make(chan result), make(chan struct{})
	defer close(done)
	again := time.NewTicker(dialAgain)
	defer again.Stop()
	for {
		go func() {
			conn, err := dial()
			select {
			case results <- result{conn, err}:
			case <-done:
				if err == nil {
					_ = conn.Close()
				}
			}
		}()
		select {
		case first := <-results:
			return first.conn, first.err
		case <-again.C:
		}
	}
}
