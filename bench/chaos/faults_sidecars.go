package main

import (
	"context"
	"time"
)

// frozenFaults are those of sidecars that stop for a while.
func frozenFaults() []fault {
	return []fault{
		{
			name: words{"half of the sidecars frozen", "一半 sidecar 被冻住"}, attacks: []words{neverDead, neverBackwards},
			hold: 20 * time.Second, run: freezeHalf,
		},
		{name: same("frozen in each step"), parts: func(ctx context.Context, w *world) error { return w.eachStep(ctx, false) }},
	}
}

// lethalFaults are those that no sidecar outlives for long.
func lethalFaults() []fault {
	return []fault{
		{
			name: words{"half of the sidecars killed, later started again", "一半 sidecar 被杀，稍后重启"}, attacks: []words{neverNothing, oneCall},
			hold: 8 * time.Second, brief: 4 * time.Second, run: killHalf,
		},
		{name: same("killed in each step"), parts: func(ctx context.Context, w *world) error { return w.eachStep(ctx, true) }},
		{
			name: words{"all sidecars killed, started again at once", "全部 sidecar 被杀，立即重启"}, attacks: []words{neverNothing, oneCall},
			run: killAll,
		},
		{
			name:    words{"everything forgotten: all sidecars killed, memcached emptied", "全部遗忘：所有 sidecar 被杀，memcached 被清空"},
			attacks: []words{oneCall}, run: forgetAll,
			pardon: words{"no token is anywhere until WeChat has issued one", "在微信签发之前，哪里都没有 token"},
		},
	}
}

func killHalf(ctx context.Context, w *world, hold time.Duration) error {
	half := w.pods[:len(w.pods)/2]
	for _, p := range half {
		p.kill()
	}
	if err := pause(ctx, hold); err != nil {
		return err
	}
	for _, p := range half {
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func killAll(ctx context.Context, w *world, _ time.Duration) error {
	for _, p := range w.pods {
		p.kill()
	}
	return w.startAll(ctx)
}

func freezeHalf(ctx context.Context, w *world, hold time.Duration) error {
	half := w.pods[:len(w.pods)/2]
	for _, p := range half {
		p.freeze()
	}
	defer func() {
		for _, p := range half {
			p.thaw()
		}
	}()
	return pause(ctx, hold)
}

func forgetAll(ctx context.Context, w *world, _ time.Duration) error {
	for _, p := range w.pods {
		p.kill()
	}
	if _, err := w.memcached.ask(ctx, "flush_all", ""); err != nil {
		return err
	}
	w.forgotten = w.journal.now()
	return w.startAll(ctx)
}
