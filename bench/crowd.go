package main

import (
	"context"
	"time"
)

// crowd is callers of one server, who ask at the same time.
type crowd struct {
	server  *server
	callers []*caller
	spent   samples // the server's processor time per request, by batch
}

// newCrowd waits until the server answers the request.
func newCrowd(ctx context.Context, s *server, request string, size int) (*crowd, error) {
	if _, err := s.firstAnswer(ctx, s.address, request); err != nil {
		return nil, err
	}
	c := &crowd{server: s}
	for range size {
		one, err := newCaller(ctx, s.address, request)
		if err != nil {
			c.close()
			return nil, err
		}
		c.callers = append(c.callers, one)
	}
	return c, nil
}

// batch asks so many times and returns the requests per second.
func (c *crowd) batch(requests int) (float64, error) {
	for _, one := range c.callers {
		if err := one.conn.SetDeadline(time.Now().Add(callerPatience)); err != nil {
			return 0, err
		}
	}
	free := make(chan *caller, len(c.callers)) // each goroutine takes one and keeps it
	for _, one := range c.callers {
		free <- one
	}
	before, err := c.server.cpu()
	if err != nil {
		return 0, err
	}
	ns, err := timedEach(len(c.callers), requests, func() func() error { return (<-free).ask })
	if err != nil {
		return 0, err
	}
	after, err := c.server.cpu()
	if err != nil {
		return 0, err
	}
	each := max(1, requests/len(c.callers))
	c.spent = append(c.spent, (after-before)/float64(each*len(c.callers)))
	return 1e9 / ns, nil
}

func (c *crowd) close() {
	for _, one := range c.callers {
		_ = one.conn.Close()
	}
}
