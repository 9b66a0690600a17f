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
var stages = []struct {
	step string
	name words
	lost bool // an answer is lost there
}{
	{"before_lease", words{"before it takes the lease", "取租约之前"}, false},
	{"lease", words{"the lease in hand", "租约在手"}, false},
	{"read_again", words{"the record read again", "记录已再读一次"}, false},
	{"call", words{"before the call", "调用之前"}, false},
	{"open", words{"while the call is open", "调用尚无应答"}, true},
	{"answer", words{"the answer in hand, nothing written", "应答在手，什么都没写"}, true},
	{"record", words{"the record written, the entry not", "记录已写，条目未写"}, false},
	{"entry", words{"the entry written, the lease not given back", "条目已写，租约未还"}, false},
}

// eachStep kills or freezes a sidecar in each step of a renewal: each time another
// account's, as its renewal comes.
func (w *world) eachStep(ctx context.Context, kill bool) error {
	var all sync.WaitGroup
	errs := make([]error, len(stages))
	rows := make([]*row, len(stages))
	verb, first := words{"a sidecar frozen for 20 s: ", "一个 sidecar 被冻住 20 秒："}, 0
	if kill {
		verb, first = words{"a sidecar killed: ", "一个 sidecar 被杀："}, len(stages)
	}
	from := w.journal.now()
	for i, s := range stages {
		account := w.accounts[first+i]
		rows[i] = &row{
			name: verb.and(s.name), attacks: []words{oneCall, neverDead},
			span: span{accounts: []string{account}, from: from}, lost: s.lost,
		}
		all.Go(func() { errs[i] = w.inStep(ctx, rows[i], account, s.step, kill) })
	}
	all.Wait()
	w.rows = append(w.rows, rows...)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	last := &row{undone: w.journal.now()}
	if err := w.calm(ctx, last, nil); err != nil {
		return err
	}
	for _, r := range rows {
		r.to = w.journal.now()
	}
	return last.never
}

// inStep hurts whoever comes to a step of this account's next renewal.
func (w *world) inStep(ctx context.Context, r *row, account, step string, kill bool) error {
	order := map[bool]string{true: "kill", false: "stop"}[kill]
	if step == "open" {
		order, step = "mark", "call"
		w.wechat.sicken(account, func(n int) (wechattest.Answer, words) {
			if n > 1 {
				return wechattest.Answer{}, words{}
			}
			return wechattest.Answer{DelayAfter: 2 * time.Second}, words{} // issued, not answered yet
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
		return fmt.Errorf("%s, %s: %w", r.name.en, account, err)
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
	w.judge.hit(account, r.name)
	w.journal.say("   %s (sidecar %d, %s)", r.name.en, p.number, account)
	var mending sync.WaitGroup
	var mended error
	mending.Go(func() { mended = w.mendPod(ctx, p, kill) })
	r.undone = hit
	r.never = w.healed(ctx, account, hit-6*time.Second)
	r.healed = w.journal.now()
	mending.Wait()
	w.journal.say("   healed: %s (%s) %.2f s after", r.name.en, account, (r.healed - hit).Seconds())
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
