package main

import (
	"context"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// freezeFaults returns the faults of sidecars that stop for a while.
func freezeFaults() []fault {
	return []fault{
		{name: "half of the sidecars frozen", hold: 20 * time.Second, run: freezeHalf},
		{name: "frozen in each step", ownRows: true, run: func(ctx context.Context, h *harness, _ time.Duration) error {
			return h.injectEach(ctx, 0, stepFaults(false))
		}},
	}
}

// killFaults returns the faults that kill sidecars.
func killFaults() []fault {
	return []fault{
		{
			name: "half of the sidecars killed, later started again", hold: 8 * time.Second, short: 4 * time.Second,
			run: func(ctx context.Context, h *harness, hold time.Duration) error {
				return h.restart(ctx, h.pods[:sidecars/2], func() error { return program.Sleep(ctx, hold) })
			},
		},
		{name: "killed in each step", ownRows: true, run: func(ctx context.Context, h *harness, _ time.Duration) error {
			return h.injectEach(ctx, accounts/2, stepFaults(true))
		}},
		{name: "all sidecars killed, started again at once", run: func(ctx context.Context, h *harness, _ time.Duration) error {
			return h.restart(ctx, h.pods, func() error { return nil })
		}},
		{
			name: "everything forgotten: all sidecars killed, memcached emptied", excuse: "no token exists until WeChat has issued one",
			run: func(ctx context.Context, h *harness, _ time.Duration) error {
				return h.restart(ctx, h.pods, func() error {
					defer func() { h.forgotten = h.now() }()
					return h.entries.FlushAll()
				})
			},
		},
	}
}

// restart kills sidecars, and starts them again after between.
func (h *harness) restart(ctx context.Context, pods []*pod, between func() error) error {
	for _, p := range pods {
		p.running().Kill()
	}
	if err := between(); err != nil {
		return err
	}
	return startAll(ctx, pods)
}

func freezeHalf(ctx context.Context, h *harness, hold time.Duration) error {
	for _, p := range h.pods[:sidecars/2] {
		p.signal(syscall.SIGSTOP)
		defer p.signal(syscall.SIGCONT)
	}
	return program.Sleep(ctx, hold)
}

// freeze is longer than the life of a lease.
const freeze = 20 * time.Second

// stepFaults returns a fault for each step of a renewal: the sidecar that comes to it
// is killed, and started again after 5 s, or frozen for 20 s.
func stepFaults(kill bool) (faults []accountFault) {
	prefix := "a sidecar frozen for 20 s: "
	if kill {
		prefix = "a sidecar killed: "
	}
	for _, step := range []struct {
		failpoint, name string
		lostAnswer      bool
	}{
		{"before_lease", "before it takes the lease", false},
		{"lease", "after it took the lease", false},
		{"read_again", "after it read the record again", false},
		{"request", "before the request", false},
		{"open", "during the request", true},
		{"answer", "after the answer, nothing written", true},
		{"record", "the record written, the entry not", false},
		{"entry", "the entry written, the lease not released", false},
	} {
		faults = append(faults, accountFault{
			name: prefix + step.name, lostAnswer: step.lostAnswer,
			inject: func(ctx context.Context, h *harness, r *row) (func() error, error) {
				return h.hitInStep(ctx, r, step.failpoint, kill)
			},
		})
	}
	return faults
}

// hitInStep kills or freezes the sidecar that comes first to a step of the account's
// next renewal. undo starts it again, or lets it go on.
func (h *harness) hitInStep(ctx context.Context, r *row, step string, kill bool) (undo func() error, err error) {
	account, order, signal := r.accounts[0], "stop", syscall.SIGSTOP
	if kill {
		order, signal = "kill", syscall.SIGKILL
	}
	during := step == "open"
	if during {
		step, order = "request", "mark"
		h.wechat.answer(account, once("", wechattest.Answer{DelayAfter: 2 * time.Second})) // issued, not answered yet
	}
	p, err := h.catch(ctx, account, step, order)
	if err != nil {
		return nil, err
	}
	if during {
		if err = program.Sleep(ctx, time.Second); err != nil {
			return nil, err
		}
		p.signal(signal)
	}
	r.undone = h.now()
	h.judge.note(event{at: r.undone, AppID: account, Kind: sidecarHit, fault: r.name})
	return func() error {
		if !kill {
			err := program.Sleep(ctx, freeze)
			p.signal(syscall.SIGCONT)
			return err
		}
		p.running().Kill() // it can be about to end
		if err := program.Sleep(ctx, 5*time.Second); err != nil {
			return err
		}
		return p.start(ctx)
	}, nil
}
