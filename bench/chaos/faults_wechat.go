package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// weChatFaults returns the faults of WeChat and of the network to it.
func weChatFaults() []fault {
	const hold = 12 * time.Second
	show := func(certificate string) func(*harness) error {
		return func(h *harness) error { h.wechat.show(certificate); return nil }
	}
	forever := map[string]int{"timeout": 0}
	faults := []fault{
		{name: "WeChat answers wrongly", ownRows: true, run: func(ctx context.Context, h *harness, _ time.Duration) error {
			for i, account := range h.accounts[:accounts] {
				h.wechat.nextLife(account, life+time.Duration(i)*life/accounts) // renewals that came together part again
			}
			return h.injectEach(ctx, 0, answerFaults(h.journal))
		}},
		outage("WeChat's certificate expired", hold, 5*time.Second, show("expired"), show("good")),
		outage("WeChat's certificate for another name", hold, 0, show("misnamed"), show("good")),
		outage("WeChat's certificate of an unknown authority", hold, 0, show("untrusted"), show("good")),
		outage("WeChat's name does not resolve", 20*time.Second, 0, // a resolver keeps its hosts file for 5 s
			func(h *harness) error { return h.resolve(false) }, func(h *harness) error { return h.resolve(true) }),
		outage("the network to WeChat stalls", hold, 0, func(h *harness) error {
			return h.wechat.proxy.poison(toxic{"timeout", "upstream", forever}, toxic{"timeout", "downstream", forever})
		}, func(h *harness) error { return h.wechat.proxy.cure() }),
		outage("AppSecret replaced at WeChat, 20 s later in the file", 20*time.Second, 0, func(h *harness) error {
			for _, account := range h.accounts {
				h.wechat.SetSecret(account, secondSecret)
			}
			return nil
		}, func(h *harness) (err error) {
			for _, account := range h.accounts {
				err = errors.Join(err, h.setSecret(account, secondSecret))
			}
			return err
		}),
	}
	for i := range faults {
		faults[i].readersFree = true
	}
	return faults
}

// outage returns a fault of all requests. It lasts for the hold, and until a renewal
// has failed.
func outage(name string, hold, short time.Duration, begin, end func(*harness) error) fault {
	return fault{name: name, hold: hold, short: short, run: func(ctx context.Context, h *harness, hold time.Duration) error {
		from := h.now()
		if err := errors.Join(begin(h), program.Sleep(ctx, hold)); err != nil {
			return err
		}
		err := await(ctx, life, 100*time.Millisecond, func(context.Context) error {
			if err := h.judge.readLogs(h.out); err != nil {
				return err
			}
			if len(h.judge.find(renewalFailed, "", from, h.now())) == 0 {
				return errors.New("no renewal failed")
			}
			return nil
		})
		return errors.Join(err, end(h))
	}}
}

// once answers the first request so, and the others well: after a lost answer, the
// minute of the doubt leaves the old token little more time.
func once(wrong string, a wechattest.Answer) answers {
	return func() (wechattest.Answer, string) {
		defer func() { a, wrong = wechattest.Answer{}, "" }()
		return a, wrong
	}
}

// refuse refuses every request of the first 20 s.
func refuse(j *journal, wrong string, errcode int) answers {
	var until time.Duration
	return func() (wechattest.Answer, string) {
		if until == 0 {
			until = j.now() + 20*time.Second
		}
		if j.now() > until {
			return wechattest.Answer{}, ""
		}
		return wechattest.Answer{Errcode: errcode}, wrong
	}
}

// answerFaults returns a wrong answer for each account, to its next request.
func answerFaults(j *journal) (faults []accountFault) {
	add := func(name string, lost bool, a answers) {
		faults = append(faults, accountFault{name: "WeChat: " + name, lostAnswer: lost, inject: answerWrongly(a)})
	}
	for _, one := range []struct {
		name   string
		answer wechattest.Answer
		lost   bool // a token was issued and did not arrive
	}{
		{"answers after 3 s", wechattest.Answer{DelayAfter: 3 * time.Second}, false},
		{"issues a token, answers after 8 s", wechattest.Answer{DelayAfter: 8 * time.Second}, true}, // a sidecar waits for 5 s
		{"issues a token after 8 s", wechattest.Answer{Delay: 8 * time.Second, Late: true}, true},
		{"a web page", wechattest.Answer{Kind: wechattest.HTML}, false},
		{"HTTP 502, token issued", wechattest.Answer{Kind: wechattest.IssuedServerError}, true},
		{"truncated JSON, token issued", wechattest.Answer{Kind: wechattest.TruncatedJSON}, true},
		{"no expires_in, token issued", wechattest.Answer{Kind: wechattest.NoExpires}, true},
		{"expires_in 9, token issued", wechattest.Answer{Kind: wechattest.ShortExpires}, true},
		{"an empty token", wechattest.Answer{Kind: wechattest.EmptyToken}, false},
		{"a redirect", wechattest.Answer{Kind: wechattest.Redirect}, false},
		{"an endless body", wechattest.Answer{Kind: wechattest.Huge}, false},
		{"a reset, token issued", wechattest.Answer{Kind: wechattest.IssuedNoAnswer}, true},
		{"a reset, nothing issued", wechattest.Answer{Kind: wechattest.Reset}, false},
	} {
		add(one.name, one.lost, once(one.name, one.answer))
	}
	for _, errcode := range []int{-1, 45011, 40164} { // busy, rate limit, unknown IP address
		name := fmt.Sprintf("errcode %d for 20 s", errcode)
		add(name, false, refuse(j, name, errcode))
	}
	return append(faults, accountFault{
		name: "the day's quota used up: errcode 45009, and the token reported 20 times", keepsToken: true, inject: useUpQuota,
	})
}

// answerWrongly sets how WeChat answers an account, and waits for its next request.
func answerWrongly(a answers) func(context.Context, *harness, *row) (func() error, error) {
	return func(ctx context.Context, h *harness, r *row) (func() error, error) {
		account, before := r.accounts[0], len(h.wechat.allRequests())
		h.wechat.answer(account, a)
		err := await(ctx, life, 20*time.Millisecond, func(context.Context) error {
			if !slices.ContainsFunc(h.wechat.allRequests()[before:], func(q *request) bool { return q.account == account }) {
				return errors.New(account + ": no renewal came")
			}
			return nil
		})
		r.undone = h.now()
		return nil, err
	}
}

// useUpQuota uses up the day's quota of an account whose token outlives the fleet's
// wait. Apps report that token, and go on with it.
func useUpQuota(ctx context.Context, h *harness, r *row) (func() error, error) {
	account := r.accounts[0]
	h.wechat.answer(account, func() (wechattest.Answer, string) { return wechattest.Answer{Errcode: 45009}, "errcode 45009" })
	defer h.wechat.answer(account, nil)
	token := h.watch.entry(account)
	for i := range 20 {
		p := h.pods[i%len(h.pods)]
		c, err := client.New(client.Config{AppID: account, Servers: []string{p.proxy.Listen}, Sidecar: "http://" + p.api})
		if err != nil {
			return nil, err
		}
		got, err := c.Refresh(ctx, token)
		_ = c.Close()
		if err == nil && got != token {
			return nil, errors.New("another token after errcode 45009")
		}
		if err = program.Sleep(ctx, time.Second); err != nil {
			return nil, err
		}
	}
	r.undone = h.now()
	return nil, nil
}
