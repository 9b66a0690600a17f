package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// callerTimeout is longer than any batch.
const callerTimeout = 30 * time.Second

// tokenRequest is a request for the token, byte for byte: an HTTP client would
// use more of the processor than the server that is measured.
const tokenRequest = "GET /v1/" + appID + "/access_token HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Wxsidecar: 1\r\n\r\n"

// caller is one connection that stays open.
type caller struct {
	conn    net.Conn
	request string
	answer  []byte // the last one; all have its length
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		network, address = "unix", path
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(callerTimeout))
}

// newCaller dials and asks once, to learn how long answers are.
func newCaller(ctx context.Context, address, request string) (*caller, error) {
	conn, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &caller{conn: conn, request: request}
	if err := c.ask(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	return c, nil
}

// ask asks once.
func (c *caller) ask() error {
	if _, err := io.WriteString(c.conn, c.request); err != nil {
		return err
	}
	if c.answer == nil {
		answer := make([]byte, 4096)
		n, err := c.conn.Read(answer) // net/http writes an answer of this size at once
		if err != nil {
			return err
		}
		c.answer = answer[:n]
	} else if _, err := io.ReadFull(c.conn, c.answer); err != nil {
		return err
	}
	if !bytes.HasPrefix(c.answer, []byte("HTTP/1.1 200 ")) {
		return errors.New("the answer is not 200")
	}
	return nil
}

// callers ask one server at the same time.
type callers []*caller

// newCallers waits until the server answers the request.
func newCallers(ctx context.Context, s *server, request string, count int) (callers, error) {
	if _, err := s.firstAnswer(ctx, s.address, request); err != nil {
		return nil, err
	}
	var all callers
	for range count {
		c, err := newCaller(ctx, s.address, request)
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// batch asks so many times and returns the requests per second.
func (all callers) batch(requests int) (float64, error) {
	work := make([]func() error, len(all))
	for i, c := range all {
		if err := c.conn.SetDeadline(time.Now().Add(callerTimeout)); err != nil {
			return 0, err
		}
		work[i] = c.ask
	}
	ns, err := timed(requests, work...)
	return 1e9 / ns, err
}

func (all callers) close() {
	for _, c := range all {
		_ = c.conn.Close()
	}
}

// timed runs work a number of times, spread over a goroutine for each function, and
// returns the nanoseconds for one.
func timed(times int, work ...func() error) (float64, error) {
	each := max(1, times/len(work))
	failed := make(chan error, len(work))
	begin := make(chan struct{})
	var running sync.WaitGroup
	for _, one := range work {
		running.Go(func() {
			<-begin
			for range each {
				if err := one(); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	start := time.Now()
	close(begin)
	running.Wait()
	took := time.Since(start)
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(took) / float64(each*len(work)), nil
	}
}
