package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache" //nolint:depguard // the judge reads entries past the code that it judges

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

const (
	sidecars = 8
	accounts = 16
	// quotaAccount is the account whose quota is used up. Its tokens live for 2 h, since
	// the fleet then waits for an hour.
	quotaAccount = "wxquota00000000000"
	quotaLife    = 2 * time.Hour
	firstSecret  = "canarysecret0123456789abcdef0000"
	secondSecret = "canarysecret0123456789abcdef0001"
)

// harness is the fleet, its surroundings and its judge.
type harness struct {
	*journal
	out, dir, root string
	wechat         *weChat
	memcached      *program.Memcached
	entries        *memcache.Client // of memcached itself, past all proxies
	pods           []*pod
	accounts       []string // the last one is quotaAccount
	judge          *judge
	watch          *watch
	rows           []*row
	forgotten      time.Duration        // when no sidecar and no memcached had a token; 0 means never
	measured       []map[*pod]resources // at the start and at the end
}

// newHarness starts everything but the sidecars and readers. The first tokens live at
// least for firstLife.
func newHarness(ctx context.Context, out string, stderr io.Writer, firstLife time.Duration) (*harness, error) {
	dir, err := os.MkdirTemp("", "wxchaos")
	if err != nil {
		return nil, err
	}
	h := &harness{out: out, dir: dir}
	if err = h.setUp(ctx, stderr, firstLife); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *harness) setUp(ctx context.Context, stderr io.Writer, firstLife time.Duration) (err error) {
	if h.journal, err = newJournal(h.out, stderr); err != nil {
		return err
	}
	h.judge = newJudge(h.journal)
	if h.root, err = program.Go(ctx, "list", "-m", "-f", "{{.Dir}}", "github.com/wxsidecar/wxsidecar"); err != nil {
		return err
	}
	if _, err = program.Go(ctx, "build", "-C", h.root, "-tags", "chaos", "-trimpath", "-ldflags", program.LinkerFlags, "-o", h.path("sidecar"), "./sidecar"); err != nil {
		return err
	}
	if h.wechat, err = newWeChat(h.journal); err != nil {
		return err
	}
	address, err := programtest.FreeAddress()
	if err != nil {
		return err
	}
	if h.memcached, err = program.StartMemcached(ctx, address, "-m", "8", "-t", "2"); err != nil {
		return err
	}
	h.entries = h.memcached.Client()
	h.entries.Timeout = time.Second
	if err = errors.Join(os.Mkdir(h.path("failpoints"), 0o700), os.Mkdir(h.path("accounts"), 0o700)); err != nil {
		return err
	}
	for i := range accounts {
		account := fmt.Sprintf("wx%016d", i)
		h.accounts = append(h.accounts, account)
		h.wechat.nextLife(account, firstLife+time.Duration(i)*(life-firstLife)/accounts) // they are renewed one after the other
		if err = h.setSecret(account, firstSecret); err != nil {
			return err
		}
	}
	h.watch = newWatch(h)
	for i := range sidecars {
		p, err := h.newPod(i)
		if err != nil {
			return err
		}
		h.pods = append(h.pods, p)
	}
	return errors.Join(h.resolve(true),
		os.WriteFile(h.path("authority.pem"), h.wechat.authorities, 0o600),
		os.WriteFile(h.path("resolv.conf"), []byte("nameserver 127.0.0.153\noptions timeout:1 attempts:1\n"), 0o600))
}

// path returns the path of a file of this run.
func (h *harness) path(names ...string) string {
	return filepath.Join(append([]string{h.dir}, names...)...)
}

// setSecret replaces an AppSecret at WeChat and in the sidecars' folder.
func (h *harness) setSecret(account, secret string) error {
	h.wechat.SetSecret(account, secret)
	return writeWhole(h.path("accounts", account), secret+"\n")
}

// resolve says whether the sidecars can resolve WeChat's name.
func (h *harness) resolve(known bool) error {
	text := "127.0.0.1 localhost\n"
	if known {
		text += "127.0.0.1 " + host + "\n"
	}
	return os.WriteFile(h.path("hosts"), []byte(text), 0o600) // in place: it is mounted
}

// close ends everything that was started.
func (h *harness) close() {
	for _, p := range h.pods {
		p.running().Kill()
		p.proxy.Stop()
	}
	if h.memcached != nil {
		h.memcached.Kill()
	}
	if h.wechat != nil {
		h.wechat.close()
	}
	_ = os.RemoveAll(h.dir) // a temporary folder
}

// run starts the sidecars and the readers, and injects all faults.
func (h *harness) run(ctx context.Context, p plan) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel(nil)
	all.Go(func() { h.watch.run(ctx) })
	if err := h.begin(ctx, p.whole); err != nil {
		return err
	}
	for _, p := range h.pods {
		for _, read := range []func(context.Context, *pod) error{h.readGo, h.readPHP} {
			all.Go(func() {
				if err := read(ctx, p); err != nil {
					cancel(err)
				}
			})
		}
	}
	for _, f := range p.faults {
		if err := h.inject(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// begin starts all sidecars at once. It adds quotaAccount later: requests that overlap
// could give its life to the tokens of other accounts. If fullLives is true, it first
// waits for tokens of full life: a token with less time left than a doubt lasts would
// expire during the faults, which WeChat's tokens do not.
func (h *harness) begin(ctx context.Context, fullLives bool) error {
	r := h.addRow(fault{name: "no fault: all sidecars start at once, memcached empty"})
	r.undone = r.from
	h.say("%d sidecars start, %d accounts", sidecars, accounts)
	if err := errors.Join(startAll(ctx, h.pods), h.awaitTokens(ctx, 0, h.accounts...)); err != nil {
		return err
	}
	r.healedAt, r.to = h.now(), h.now()
	if fullLives {
		if err := h.awaitTokens(ctx, h.now(), h.accounts...); err != nil {
			return err
		}
	}
	h.accounts = append(h.accounts, quotaAccount)
	return errors.Join(h.setSecret(quotaAccount, firstSecret), h.awaitTokens(ctx, 0, quotaAccount))
}

// startAll starts the pods' sidecars at once.
func startAll(ctx context.Context, pods []*pod) error {
	errs := make([]error, len(pods))
	var starting sync.WaitGroup
	for i, p := range pods {
		starting.Go(func() { errs[i] = p.start(ctx) })
	}
	starting.Wait()
	return errors.Join(errs...)
}
