package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	missCallers = 1000
	// weChatDelay is how long the fake WeChat takes to answer.
	weChatDelay = 80 * time.Millisecond
)

// measureMiss lets 1,000 callers ask at the same moment for a token that does not
// exist yet. WeChat answers 80 ms later; what the last caller waits beyond that is
// measured. The floor holds 1,000 requests for 80 ms. The connection to WeChat is
// open by then: the first entry of measureStart includes its TLS.
func measureMiss(ctx context.Context, f *fixture) ([]row, error) {
	requests := 0 // the most of all rounds
	ours := func(ctx context.Context) (float64, error) {
		before := f.wechat.Requests("", "")
		ns, err := f.missSidecar(ctx)
		requests = max(requests, f.wechat.Requests("", "")-before)
		return ns, err
	}
	all, err := interleave(ctx, f.pick(9, 3), ours, f.missFloor)
	if err != nil {
		return nil, err
	}
	last, held := middle(all[0], all[1])
	return []row{
		{
			what: "1,000 callers on a missing token: the last one's wait beyond WeChat's", unit: "ms",
			figures: []figure{{ours: milliseconds(last), floor: milliseconds(held), ratio: fmt.Sprintf("%.2f", all[0].per(all[1]).median())}},
		},
		{
			what: "requests to WeChat for these", goal: "1",
			figures: []figure{{ours: fmt.Sprint(requests), floor: "1", missed: requests != 1}},
		},
	}, nil
}

// missSidecar starts a sidecar without a token and asks before WeChat answers.
func (f *fixture) missSidecar(ctx context.Context) (float64, error) {
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	f.wechat.OnRequest(func(wechattest.Request) wechattest.Answer {
		asked <- struct{}{}
		<-answer
		return wechattest.Answer{}
	})
	defer f.wechat.OnRequest(nil)
	release := sync.OnceFunc(func() { close(answer) })
	defer release()
	s, err := f.startSidecar(ctx, unixSocket)
	if err != nil {
		return 0, err
	}
	defer s.Kill()
	// The sidecar asks WeChat as soon as it has started.
	if err := s.Until(ctx, time.Millisecond, func() bool { return len(asked) > 0 }); err != nil {
		return 0, err
	}
	return missAt(ctx, s, release)
}

func (f *fixture) missFloor(ctx context.Context) (float64, error) {
	s, err := f.startFloor(ctx, unixSocket, "-wait", weChatDelay.String())
	if err != nil {
		return 0, err
	}
	defer s.Kill()
	if _, err := s.firstAnswer(ctx, s.address, tokenRequest); err != nil {
		return 0, err
	}
	return missAt(ctx, s, func() {})
}

// missAt asks a server over a connection for each caller. WeChat answers when its
// delay is over. It returns the last caller's wait beyond that, in nanoseconds.
func missAt(ctx context.Context, s *server, weChatAnswers func()) (float64, error) {
	var all callers
	defer func() { all.close() }()
	work := []func() error{func() error { time.AfterFunc(weChatDelay, weChatAnswers); return nil }}
	for range missCallers {
		conn, err := dial(ctx, s.address)
		if err != nil {
			return 0, err
		}
		c := &caller{conn: conn, request: tokenRequest}
		all, work = append(all, c), append(work, c.ask)
	}
	each, err := timed(len(work), work...)
	return each*float64(len(work)) - float64(weChatDelay), err
}
