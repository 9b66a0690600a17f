package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	sidecars    = 8
	accounts    = 16
	quota       = "wxquota000000000" // the account whose quota is used up
	quotaLife   = 2 * time.Hour      // of its tokens: a fleet then waits for an hour
	firstSecret = "canarysecret0123456789abcdef0000"
	hosts       = "127.0.0.1 localhost\n"
)

// world is a fleet, what it lives on, and who watches it.
type world struct {
	out, dir, root string
	journal        *journal
	wechat         *weChat
	memcached      *memcached
	steps          *steps
	pods           []*pod
	accounts       []string // the last one is quota's
	judge          *judge
	watch          *watch
	rows           []*row
	forgotten      time.Duration // when all was forgotten at once
	baseline       map[*pod]state
	end            map[*pod]state
	clocks         []clock
	broken         atomic.Bool // the run itself went wrong
}

// newWorld builds and starts everything but the readers. The first tokens live at
// least so long.
func newWorld(ctx context.Context, out string, stderr io.Writer, firstLife time.Duration) (*world, error) {
	dir, err := os.MkdirTemp("", "wxchaos")
	if err != nil {
		return nil, err
	}
	w := &world{out: out, dir: dir}
	if err = w.furnish(ctx, stderr, firstLife); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) furnish(ctx context.Context, stderr io.Writer, firstLife time.Duration) (err error) {
	if w.journal, err = newJournal(w.out, stderr); err != nil {
		return err
	}
	w.judge = newJudge(w.journal)
	if w.steps, err = newSteps(w.dir); err != nil {
		return err
	}
	if err = w.build(ctx); err != nil {
		return err
	}
	if w.wechat, err = newWeChat(ctx, w.journal); err != nil {
		return err
	}
	if w.memcached, err = newMemcached(ctx); err != nil {
		return err
	}
	if err = os.Mkdir(w.path("accounts"), 0o700); err != nil {
		return err
	}
	for i := range accounts {
		account := fmt.Sprintf("wx%016d", i)
		w.accounts = append(w.accounts, account)
		w.wechat.lasts(account, firstLife+time.Duration(i)*(life-firstLife)/accounts) // so that they come one after the other
		if err = w.setSecret(account, firstSecret); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"authority.pem": string(w.wechat.authority), "resolv.conf": "nameserver 127.0.0.153\noptions timeout:1 attempts:1\n",
		"hosts": hosts + "127.0.0.1 " + host + "\n",
	} {
		if err = os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for i := range sidecars {
		p, err := w.newPod(i)
		if err != nil {
			return err
		}
		w.pods = append(w.pods, p)
	}
	return nil
}

// path is a file of this run's.
func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// setSecret replaces an AppSecret at WeChat and where the sidecars read it.
func (w *world) setSecret(account, secret string) error {
	w.wechat.SetSecret(account, secret)
	return w.giveSecret(account, secret)
}

// giveSecret does so where the sidecars read it, as a Secret's folder changes: at once.
func (w *world) giveSecret(account, secret string) error {
	path := filepath.Join(w.path("accounts"), account)
	next := filepath.Join(w.path("accounts"), "."+account)
	if err := os.WriteFile(next, []byte(secret+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// resolve says whether WeChat's name is known.
func (w *world) resolve(known bool) error {
	text := hosts
	if known {
		text += "127.0.0.1 " + host + "\n"
	}
	return os.WriteFile(w.path("hosts"), []byte(text), 0o600) // in place: it is mounted
}

// build builds the sidecar with the tag that lets it be caught in its steps.
func (w *world) build(ctx context.Context) error {
	root, err := goTool(ctx, "", "list", "-m", "-f", "{{.Dir}}", "github.com/wxsidecar/wxsidecar")
	if err != nil {
		return err
	}
	w.root = strings.TrimSpace(root)
	_, err = goTool(ctx, w.root, "build", "-tags", "chaos", "-trimpath", "-ldflags", "-s -w", "-o", w.path("sidecar"), "./sidecar")
	return err
}

func goTool(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // our own arguments
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// close ends all that was started.
func (w *world) close() {
	for _, p := range w.pods {
		if running := p.now(); running != nil {
			running.kill()
		}
		p.way.Stop()
	}
	if w.memcached != nil && w.memcached.process != nil {
		w.memcached.process.kill()
	}
	if w.wechat != nil {
		w.wechat.close()
	}
	_ = os.RemoveAll(w.dir) // in the system's folder for what is temporary
}

// live is the run: start, readers, faults in turn, the last look.
func (w *world) live(ctx context.Context, p plan, minutes int) error {
	if p.whole {
		if err := w.jumped(ctx); err != nil {
			return err
		}
	}
	w.watch = newWatch(w)
	ctx, cancel := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel(nil)
	all.Go(func() { w.watch.run(ctx) })
	if err := w.begin(ctx); err != nil {
		return err
	}
	if p.whole {
		if err := w.settled(ctx); err != nil {
			return err
		}
	}
	reading := func(read func() error) {
		all.Go(func() {
			if err := read(); err != nil {
				cancel(err)
			}
		})
	}
	for _, p := range w.pods {
		reading(func() error { return w.read(ctx, p) })
		reading(func() error { return w.readPHP(ctx, p) })
	}
	return w.follow(ctx, p, minutes)
}

// begin starts all sidecars at once, which is the first row: nothing is anywhere.
func (w *world) begin(ctx context.Context) error {
	r := &row{name: words{"no fault: all sidecars start at once, memcached empty", "没有故障：所有 sidecar 同时启动，memcached 为空"}, attacks: []words{oneCall}}
	w.rows = append(w.rows, r)
	r.from, r.undone = w.journal.now(), w.journal.now()
	w.journal.say("%d sidecars start, %d accounts", sidecars, accounts)
	if err := w.startAll(ctx); err != nil {
		return err
	}
	own := w.accounts
	for _, account := range own {
		if err := w.healed(ctx, account, 0); err != nil {
			return err
		}
	}
	r.healed, r.to = w.journal.now(), w.journal.now()
	if err := w.setSecret(quota, firstSecret); err != nil {
		return err
	}
	w.watch.add(quota)
	w.accounts = append(w.accounts, quota)
	return w.healed(ctx, quota, 0)
}

func (w *world) startAll(ctx context.Context) error {
	errs := make([]error, len(w.pods))
	var starting sync.WaitGroup
	for i, p := range w.pods {
		starting.Go(func() { errs[i] = p.start(ctx) })
	}
	starting.Wait()
	return errors.Join(errs...)
}
