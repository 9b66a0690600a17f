package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// frozenFor is longer than a lease lives.
const frozenFor = 20 * time.Second

// stages are where a sidecar is caught in a renewal.
var stages = []struct{ step, name string }{
	{"before_lease", "before it takes the lease"},
	{"lease", "the lease in hand"},
	{"read_again", "the record read again"},
	{"call", "before the call"},
	{"open", "while the call is open"},
	{"answer", "the answer in hand, nothing written"},
	{"record", "the record written, the entry not"},
	{"entry", "the entry written, the lease not given back"},
}

// eachStep kills a sidecar in each step of a renewal, and freezes one in each: each
// time another account's, as its renewal comes.
func eachStep(ctx context.Context, w *world) error {
	var all sync.WaitGroup
	errs := make([]error, 2*len(stages))
	rows := make([]*row, len(errs))
	from := w.journal.now()
	for i := range errs {
		s, account, kill := stages[i/2], w.accounts[i], i%2 == 0
		verb := map[bool]string{true: "killed", false: "frozen for 20 s"}[kill]
		rows[i] = &row{
			name: fmt.Sprintf("%s: %s", verb, s.name), attacks: "One call, Never dead",
			span: span{accounts: []string{account}, from: from}, lost: s.step == "open" || s.step == "answer",
		}
		all.Go(func() { errs[i] = w.inStep(ctx, rows[i], account, s.step, verb+": "+s.name, kill) })
	}
	all.Wait()
	w.rows = append(w.rows, rows...)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	last := &row{}
	if err := w.calm(ctx, last, nil); err != nil {
		return err
	}
	for _, r := range rows {
		r.to = w.journal.now()
	}
	return last.never
}

// inStep hurts whoever comes to a step of this account's next renewal.
func (w *world) inStep(ctx context.Context, r *row, account, step, what string, kill bool) error {
	order := map[bool]string{true: "kill", false: "stop"}[kill]
	if step == "open" {
		order, step = "mark", "call"
		w.wechat.sicken(account, func(n int) (wechattest.Answer, string) {
			if n > 1 {
				return wechattest.Answer{}, ""
			}
			return wechattest.Answer{DelayAfter: 2 * time.Second}, "" // issued, not answered yet
		})
		defer w.wechat.heal(account)
	}
	if err := w.steps.order(account, step, order); err != nil {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, life)
	defer cancel()
	pid, err := w.steps.taken(patient, account)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", what, account, err)
	}
	p, err := w.podOf(pid)
	if err != nil {
		return err
	}
	if order == "mark" {
		if err = pause(ctx, time.Second); err != nil {
			return err
		}
		if kill {
			p.kill()
		} else {
			p.freeze()
		}
	}
	hit := w.journal.now()
	w.judge.hit(account, what)
	w.journal.say("   sidecar %d %s (%s)", p.number, what, account)
	var mending sync.WaitGroup
	var mended error
	mending.Go(func() { mended = w.mendPod(ctx, p, kill) })
	r.undone = hit
	r.never = w.healed(ctx, account, hit-6*time.Second)
	r.healed = w.journal.now()
	mending.Wait()
	w.journal.say("   healed: %s (%s) %.2f s after", what, account, (r.healed - hit).Seconds())
	return mended
}

// mendPod starts again what was killed, after 5 s, and lets go on what was frozen.
func (w *world) mendPod(ctx context.Context, p *pod, killed bool) error {
	if !killed {
		err := pause(ctx, frozenFor)
		p.now().signal(syscall.SIGCONT)
		return err
	}
	<-p.now().ended
	if err := pause(ctx, 5*time.Second); err != nil {
		return err
	}
	return p.start(ctx)
}
