package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	herdSize = 1000
	// weChatDelay is what the fake WeChat takes to answer.
	weChatDelay = 80 * time.Millisecond
)

// measureHerd lets 1,000 callers ask for a token that does not exist yet, at the
// same moment, and WeChat answer 80 ms later. What the last of them waits beyond
// these 80 ms is ours. The floor holds 1,000 requests for 80 ms. The connection to
// WeChat is open by then: what its TLS costs is in the time to the first entry.
func measureHerd(ctx context.Context, r *rig) ([]row, error) {
	calls := 0 // the most of all rounds
	overAPI := func(ctx context.Context) (float64, error) {
		return r.missing(ctx, &calls, func(ctx context.Context, s *server, begin chan struct{}) (*herd, error) {
			return askAPI(ctx, s.address, begin)
		})
	}
	floor := func(ctx context.Context) (float64, error) {
		s, err := r.startFloor(ctx, unixSocket, "-wait", weChatDelay.String())
		if err != nil {
			return 0, err
		}
		defer s.kill()
		if err := s.ready(ctx); err != nil {
			return 0, err
		}
		begin := make(chan struct{})
		h, err := askAPI(ctx, s.address, begin)
		if err != nil {
			return 0, err
		}
		start := time.Now()
		close(begin)
		return h.wait(start)
	}
	overClient := func(ctx context.Context) (float64, error) {
		return r.missing(ctx, &calls, askClient)
	}
	all, err := interleave(ctx, r.pick(9, 3), overAPI, floor, overClient)
	if err != nil {
		return nil, err
	}
	pair := duel{all[0], all[1]}
	last, held := pair.middle()
	return []row{
		{
			brief: "1,000 callers on a missing token: the last one's wait beyond WeChat's",
			what:  fmt.Sprintf("%d callers of the API miss at once: the last one's wait beyond WeChat's", herdSize),
			ours:  milliseconds(last), floor: milliseconds(held), ratio: pair.ratio().spread(2),
			note: "a connection each; floor: net/http holds as many requests as long",
		},
		{
			what: fmt.Sprintf("%d callers of one client miss at once: the same", herdSize),
			ours: milliseconds(all[2].median()),
			note: "1,000 gets from memcached, one request to the sidecar",
		},
		{
			brief: "calls to WeChat for each of these",
			what:  "calls to WeChat for each of these, the most of all rounds",
			ours:  fmt.Sprint(calls), floor: "1", goal: "1", met: verdictOf(calls == 1),
		},
	}, nil
}

// missing runs one round: a fresh sidecar without a token, and a herd that asks
// before WeChat answers. It counts WeChat's calls.
func (r *rig) missing(ctx context.Context, calls *int, ask func(context.Context, *server, chan struct{}) (*herd, error)) (float64, error) {
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	r.wechat.OnCall(func(wechattest.Call) wechattest.Answer {
		asked <- struct{}{}
		<-answer
		return wechattest.Answer{}
	})
	defer r.wechat.OnCall(nil)
	release := sync.OnceFunc(func() { close(answer) })
	defer release()
	before := r.wechat.Calls("", "")
	s, err := r.startSidecar(ctx, unixSocket)
	if err != nil {
		return 0, err
	}
	defer s.kill()
	select {
	case <-asked: // the sidecar asks by itself, as soon as it has started
	case <-s.ended:
		return 0, errors.New("the sidecar ended: " + s.stderr.String())
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	begin := make(chan struct{})
	h, err := ask(ctx, s, begin)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	timer := time.AfterFunc(weChatDelay, release)
	defer timer.Stop()
	close(begin)
	beyond, err := h.wait(start)
	*calls = max(*calls, r.wechat.Calls("", "")-before)
	return beyond, err
}

// herd is callers under way.
type herd struct {
	running sync.WaitGroup
	failed  chan error
	leave   func()
}

// wait waits for the last of them, and returns its wait beyond WeChat's.
func (h *herd) wait(start time.Time) (float64, error) {
	h.running.Wait()
	took := time.Since(start) - weChatDelay
	h.leave()
	select {
	case err := <-h.failed:
		return 0, err
	default:
		return float64(took), nil
	}
}

// askAPI asks over a connection each, once begin is closed.
func askAPI(ctx context.Context, address string, begin chan struct{}) (*herd, error) {
	var callers []*caller
	h := &herd{failed: make(chan error, herdSize), leave: func() {
		for _, c := range callers {
			_ = c.conn.Close()
		}
	}}
	for range herdSize {
		conn, err := dial(ctx, address)
		if err != nil {
			h.leave()
			return nil, err
		}
		callers = append(callers, &caller{conn: conn, request: tokenRequest})
	}
	for _, c := range callers {
		h.running.Go(func() {
			<-begin
			if _, err := io.WriteString(c.conn, c.request); err != nil {
				h.failed <- err
				return
			}
			answer := make([]byte, 1024)
			n, err := c.conn.Read(answer) // net/http writes an answer of this size at once
			if err == nil {
				err = granted(answer[:n])
			}
			if err != nil {
				h.failed <- err
			}
		})
	}
	return h, nil
}

// askClient asks through one client, once begin is closed.
func askClient(ctx context.Context, s *server, begin chan struct{}) (*herd, error) {
	prefix := s.variable("MEMCACHED_KEY_PREFIX")
	c, err := client.New(client.Config{
		AppID: appID, Servers: []string{s.variable("MEMCACHED_SERVERS")}, Prefix: prefix, Timeout: getPatience, Sidecar: s.address,
	})
	if err != nil {
		return nil, err
	}
	h := &herd{failed: make(chan error, herdSize), leave: func() { _ = c.Close() }}
	for range herdSize {
		h.running.Go(func() {
			<-begin
			if _, err := c.AccessToken(ctx); err != nil {
				h.failed <- err
			}
		})
	}
	return h, nil
}
