package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// weChatFaults are those of WeChat and of the way to it.
func weChatFaults() []fault {
	const hold = 12 * time.Second
	shows := func(which func(*weChat) *tls.Certificate) func(context.Context, *world, time.Duration) error {
		return func(ctx context.Context, w *world, hold time.Duration) error {
			w.wechat.shown.Store(which(w.wechat))
			defer w.wechat.shown.Store(w.wechat.good)
			return w.meeting(ctx, hold)
		}
	}
	return []fault{
		{name: "WeChat answers wrongly", attacks: "Never dead, Bounded", parts: wrongly},
		{name: "WeChat's certificate expired", attacks: "Never nothing", short: true, hold: hold, run: shows(func(w *weChat) *tls.Certificate { return w.expired })},
		{name: "WeChat's certificate for another name", attacks: "Never nothing", hold: hold, run: shows(func(w *weChat) *tls.Certificate { return w.misnamed })},
		{name: "WeChat's certificate of nobody we trust", attacks: "Never nothing", hold: hold, run: shows(func(w *weChat) *tls.Certificate { return w.untrusted })},
		{name: "WeChat's name does not resolve", attacks: "Never nothing", hold: 20 * time.Second, run: nameless},
		{name: "the way to WeChat stalls", attacks: "Never nothing", hold: hold, run: func(ctx context.Context, w *world, hold time.Duration) error {
			if err := w.wechat.way.poison(toxic{"timeout", "", map[string]int{"timeout": 0}}); err != nil {
				return err
			}
			return errors.Join(w.meeting(ctx, hold), w.wechat.way.cure())
		}},
		{name: "AppSecret replaced at WeChat, 20 s later in the file", attacks: "Never nothing, Never leaked", hold: 20 * time.Second, run: rotated},
	}
}

// nameless takes WeChat's name away; a resolver remembers its hosts file for 5 s.
func nameless(ctx context.Context, w *world, hold time.Duration) error {
	if err := w.resolve(false); err != nil {
		return err
	}
	return errors.Join(w.meeting(ctx, hold), w.resolve(true))
}

// meeting waits for the hold, and on until a renewal has met the fault.
func (w *world) meeting(ctx context.Context, hold time.Duration) error {
	from := w.journal.now()
	if err := pause(ctx, hold); err != nil {
		return err
	}
	for !w.judge.heardOf(failedRenewal, "", from, w.journal.now()) {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		if w.journal.now()-from > hold+life {
			return errors.New("no renewal met it")
		}
	}
	return nil
}

func rotated(ctx context.Context, w *world, hold time.Duration) error {
	const next = "canarysecret0123456789abcdef0001"
	for _, account := range w.accounts {
		w.wechat.SetSecret(account, next)
	}
	if err := w.meeting(ctx, hold); err != nil {
		return err
	}
	for _, account := range w.accounts {
		if err := w.giveSecret(account, next); err != nil {
			return err
		}
	}
	return nil
}

// once is a first call that goes wrong, and others that do not: that its answer is
// lost costs a doubt, and the doubt's minute leaves the old token little more.
func once(name string, a wechattest.Answer) answers {
	return func(n int) (wechattest.Answer, string) {
		if n > 1 {
			return wechattest.Answer{}, ""
		}
		return a, name
	}
}

// refuses refuses every call of the first 20 s.
func refuses(j *journal, code int) answers {
	var until time.Duration
	return func(n int) (wechattest.Answer, string) {
		if n == 1 {
			until = j.now() + 20*time.Second
		}
		if j.now() > until {
			return wechattest.Answer{}, ""
		}
		return wechattest.Answer{Errcode: code}, fmt.Sprintf("errcode %d", code)
	}
}

// wrongly answers for each account in another way, as its renewal comes.
func wrongly(ctx context.Context, w *world) error {
	const late = 8 * time.Second // beyond the sidecars' 5 s
	slow := "WeChat slow: "
	wrong := "WeChat wrong: "
	ways := []struct {
		name string
		answers
		lost bool // a token was issued that nobody gets
	}{
		{slow + "answers after 3 s", once("3 s of waiting", wechattest.Answer{DelayAfter: 3 * time.Second}), false},
		{slow + "issues, answers after 8 s", once("an answer that came too late", wechattest.Answer{DelayAfter: late}), true},
		{slow + "issues after 8 s", once("an answer that came too late", wechattest.Answer{Delay: late, Late: true}), true},
		{wrong + "a web page", once("a web page", wechattest.Answer{Kind: wechattest.HTML}), false},
		{wrong + "HTTP 502, issued", once("HTTP 502", wechattest.Answer{Kind: wechattest.IssuedServerError}), true},
		{wrong + "JSON cut in the middle, issued", once("JSON cut in the middle", wechattest.Answer{Kind: wechattest.TruncatedJSON}), true},
		{wrong + "no expires_in, issued", once("no expires_in", wechattest.Answer{Kind: wechattest.NoExpires}), true},
		{wrong + "expires_in 9, issued", once("expires_in 9", wechattest.Answer{Kind: wechattest.ShortExpires}), true},
		{wrong + "an empty token", once("an empty token", wechattest.Answer{Kind: wechattest.EmptyToken}), false},
		{wrong + "a redirect", once("a redirect", wechattest.Answer{Kind: wechattest.Redirect}), false},
		{wrong + "a body without end", once("a body without end", wechattest.Answer{Kind: wechattest.Huge}), false},
		{wrong + "reset after it issued", once("a reset", wechattest.Answer{Kind: wechattest.IssuedNoAnswer}), true},
		{wrong + "reset before", once("a reset", wechattest.Answer{Kind: wechattest.Reset}), false},
		{"WeChat busy: errcode -1 for 20 s", refuses(w.journal, -1), false},
		{"rate-limited: errcode 45011", refuses(w.journal, 45011), false},
		{"refused: errcode 40164 for 20 s", refuses(w.journal, 40164), false},
	}
	var all sync.WaitGroup
	errs := make([]error, len(ways))
	rows := make([]*row, len(ways))
	from := w.journal.now()
	for i, way := range ways {
		account := w.accounts[i]
		w.wechat.lasts(account, life+time.Duration(i)*life/accounts) // what came together goes apart again
		rows[i] = &row{name: way.name, attacks: "Never dead, Bounded", span: span{accounts: []string{account}, from: from}, lost: way.lost}
		all.Go(func() { errs[i] = w.wrongly(ctx, rows[i], account, way.answers) })
	}
	used, err := w.usedUp(ctx)
	all.Wait()
	w.rows = append(w.rows, append(rows, used)...)
	if err = errors.Join(append(errs, err)...); err != nil {
		return err
	}
	last := &row{}
	if err = w.calm(ctx, last, nil); err != nil {
		return err
	}
	for _, r := range rows {
		r.to = w.journal.now()
	}
	return last.never
}

// wrongly answers an account's next call so, and waits for a good token after it.
func (w *world) wrongly(ctx context.Context, r *row, account string, a answers) error {
	w.wechat.sicken(account, a)
	defer w.wechat.heal(account)
	for {
		if met, ok := w.wechat.met(account); ok {
			r.undone = met
			break
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
		if w.journal.now()-r.from > life {
			return fmt.Errorf("%s: no renewal came", account)
		}
	}
	w.journal.say("   %s (%s)", r.name, account)
	r.never = w.healed(ctx, account, r.undone-time.Second)
	r.healed = w.journal.now()
	w.journal.say("   healed: %s (%s) %.2f s after", r.name, account, (r.healed - r.undone).Seconds())
	return nil
}

// usedUp is the day's quota used up, of the account whose token lives long enough
// to outlive the hour that a fleet then waits: apps report that token, again and
// again, and go on with it.
func (w *world) usedUp(ctx context.Context) (*row, error) {
	account := w.accounts[len(w.accounts)-1]
	r := &row{name: "rate-limited: errcode 45009, and the token reported 20 times", attacks: "Bounded, Never nothing", span: span{accounts: []string{account}, from: w.journal.now()}}
	w.wechat.sicken(account, func(int) (wechattest.Answer, string) { return wechattest.Answer{Errcode: 45009}, "errcode 45009" })
	defer w.wechat.heal(account)
	token := w.watch.entry(account)
	for i := range 20 {
		p := w.pods[i%len(w.pods)]
		c, err := client.New(client.Config{AppID: account, Servers: []string{p.way.Listen}, Sidecar: "http://" + p.api})
		if err != nil {
			return r, err
		}
		got, err := c.Refresh(ctx, token)
		_ = c.Close()
		if err == nil && got != token {
			return r, errors.New("there is another token after 45009")
		}
		if err = pause(ctx, time.Second); err != nil {
			return r, err
		}
	}
	r.undone, r.healed, r.to = w.journal.now(), w.journal.now(), w.journal.now()
	return r, nil
}
