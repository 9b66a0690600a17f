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
	all := []fault{
		{name: same("WeChat answers wrongly"), parts: wrongly},
		{name: words{"WeChat's certificate expired", "微信的证书过期"}, attacks: []words{neverNothing}, hold: hold, brief: 5 * time.Second, run: shows(func(w *weChat) *tls.Certificate { return w.expired })},
		{name: words{"WeChat's certificate for another name", "微信的证书属于别的域名"}, attacks: []words{neverNothing}, hold: hold, run: shows(func(w *weChat) *tls.Certificate { return w.misnamed })},
		{name: words{"WeChat's certificate of nobody we trust", "微信的证书由不受信任者签发"}, attacks: []words{neverNothing}, hold: hold, run: shows(func(w *weChat) *tls.Certificate { return w.untrusted })},
		{name: words{"WeChat's name does not resolve", "微信的域名解析不了"}, attacks: []words{neverNothing}, hold: 20 * time.Second, run: nameless},
		{name: words{"the way to WeChat stalls", "到微信的路停滞"}, attacks: []words{neverNothing}, hold: hold, run: func(ctx context.Context, w *world, hold time.Duration) error {
			if err := w.wechat.way.poison(toxic{"timeout", "", map[string]int{"timeout": 0}}); err != nil {
				return err
			}
			return errors.Join(w.meeting(ctx, hold), w.wechat.way.cure())
		}},
		{name: words{"AppSecret replaced at WeChat, 20 s later in the file", "微信一侧更换 AppSecret，文件 20 秒后才换"}, attacks: []words{neverNothing, neverLeaked}, hold: 20 * time.Second, run: rotated},
	}
	for i := range all {
		all[i].free = true
	}
	return all
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
func once(name words, a wechattest.Answer) answers {
	return func(n int) (wechattest.Answer, words) {
		if n > 1 {
			return wechattest.Answer{}, words{}
		}
		return a, name
	}
}

// refuses refuses every call of the first 20 s.
func refuses(j *journal, code int) answers {
	var until time.Duration
	return func(n int) (wechattest.Answer, words) {
		if n == 1 {
			until = j.now() + 20*time.Second
		}
		if j.now() > until {
			return wechattest.Answer{}, words{}
		}
		return wechattest.Answer{Errcode: code}, same(fmt.Sprintf("errcode %d", code))
	}
}

// wrongly answers for each account in another way, as its renewal comes.
func wrongly(ctx context.Context, w *world) error {
	const late = 8 * time.Second // beyond the sidecars' 5 s
	slow, wrong := words{"WeChat slow: ", "微信慢："}, words{"WeChat wrong: ", "微信答错："}
	tooLate := words{"an answer that came too late", "太迟的应答"}
	page, cut := words{"a web page", "一个网页"}, words{"JSON cut in the middle", "中途截断的 JSON"}
	lifeless, brief := words{"no expires_in", "没有 expires_in"}, same("expires_in 9")
	empty, redirect := words{"an empty token", "空的 token"}, words{"a redirect", "重定向"}
	endless, reset := words{"a body without end", "没有尽头的正文"}, words{"a reset", "连接重置"}
	but := words{", though issued", "，但已签发"}
	ways := []struct {
		name words
		answers
		lost bool // a token was issued that nobody gets
	}{
		{slow.and(words{"answers after 3 s", "3 秒后应答"}), once(words{"3 s of waiting", "等待 3 秒"}, wechattest.Answer{DelayAfter: 3 * time.Second}), false},
		{slow.and(words{"issues, answers after 8 s", "签发后 8 秒才应答"}), once(tooLate, wechattest.Answer{DelayAfter: late}), true},
		{slow.and(words{"issues after 8 s", "8 秒后才签发"}), once(tooLate, wechattest.Answer{Delay: late, Late: true}), true},
		{wrong.and(page), once(page, wechattest.Answer{Kind: wechattest.HTML}), false},
		{wrong.and(same("HTTP 502")).and(but), once(same("HTTP 502"), wechattest.Answer{Kind: wechattest.IssuedServerError}), true},
		{wrong.and(cut).and(but), once(cut, wechattest.Answer{Kind: wechattest.TruncatedJSON}), true},
		{wrong.and(lifeless).and(but), once(lifeless, wechattest.Answer{Kind: wechattest.NoExpires}), true},
		{wrong.and(brief).and(but), once(brief, wechattest.Answer{Kind: wechattest.ShortExpires}), true},
		{wrong.and(empty), once(empty, wechattest.Answer{Kind: wechattest.EmptyToken}), false},
		{wrong.and(redirect), once(redirect, wechattest.Answer{Kind: wechattest.Redirect}), false},
		{wrong.and(endless), once(endless, wechattest.Answer{Kind: wechattest.Huge}), false},
		{wrong.and(reset).and(but), once(reset, wechattest.Answer{Kind: wechattest.IssuedNoAnswer}), true},
		{wrong.and(words{"a reset, nothing issued", "连接重置，没有签发"}), once(reset, wechattest.Answer{Kind: wechattest.Reset}), false},
		{words{"WeChat busy: errcode -1 for 20 s", "微信繁忙：errcode -1，持续 20 秒"}, refuses(w.journal, -1), false},
		{words{"WeChat limits the rate: errcode 45011 for 20 s", "微信限频：errcode 45011，持续 20 秒"}, refuses(w.journal, 45011), false},
		{words{"WeChat refuses the IP address: errcode 40164 for 20 s", "微信拒绝 IP：errcode 40164，持续 20 秒"}, refuses(w.journal, 40164), false},
	}
	var all sync.WaitGroup
	errs := make([]error, len(ways))
	rows := make([]*row, len(ways))
	from := w.journal.now()
	for i, way := range ways {
		account := w.accounts[i]
		w.wechat.lasts(account, life+time.Duration(i)*life/accounts) // what came together goes apart again
		rows[i] = &row{name: way.name, attacks: []words{neverDead, bounded}, span: span{accounts: []string{account}, from: from}, lost: way.lost}
		all.Go(func() { errs[i] = w.wrongly(ctx, rows[i], account, way.answers) })
	}
	used, err := w.usedUp(ctx)
	all.Wait()
	w.rows = append(w.rows, append(rows, used)...)
	if err = errors.Join(append(errs, err)...); err != nil {
		return err
	}
	last := &row{undone: w.journal.now()}
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
	w.journal.say("   %s (%s)", r.name.en, account)
	r.never = w.healed(ctx, account, r.undone-time.Second)
	r.healed = w.journal.now()
	w.journal.say("   healed: %s (%s) %.2f s after", r.name.en, account, (r.healed - r.undone).Seconds())
	return nil
}

// usedUp is the day's quota used up, of the account whose token lives long enough
// to outlive the hour that a fleet then waits: apps report that token, again and
// again, and go on with it.
func (w *world) usedUp(ctx context.Context) (*row, error) {
	account := w.accounts[len(w.accounts)-1]
	r := &row{
		name:    words{"the day's quota used up: errcode 45009, and the token reported 20 times", "当天配额用完：errcode 45009，token 又被上报 20 次"},
		attacks: []words{bounded, neverNothing}, span: span{accounts: []string{account}, from: w.journal.now()},
	}
	w.wechat.sicken(account, func(int) (wechattest.Answer, words) {
		return wechattest.Answer{Errcode: 45009}, same("errcode 45009")
	})
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
