package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// fleet is N pods of M workers of one contestant, with a WeChat and a memcached of
// their own.
type fleet struct {
	contestant
	bench
	dir       string
	wechat    *weChat
	memcached *memcached
	pods      []pod
}

// pod is the workers of one, and its sidecar where the contestant has one. Workers
// in Go are one process; PHP has a process for each, as PHP-FPM has.
type pod struct {
	workers      []*process
	sidecar      *process
	socket       string // where the sidecar's API is
	ops          string // where its probes are
	startedAfter time.Duration
}

// newFleet starts all but the sidecars. Its workers are at rest.
func newFleet(ctx context.Context, b bench, c contestant, pods int) (*fleet, error) {
	f := &fleet{contestant: c, bench: b, pods: make([]pod, pods)}
	if err := f.assemble(ctx); err != nil {
		f.end()
		return nil, err
	}
	return f, nil
}

func (f *fleet) assemble(ctx context.Context) (err error) {
	network := f.network()
	if f.dir, err = os.MkdirTemp("", "peers"); err != nil {
		return err
	}
	if f.wechat, err = newWeChat(f.dir); err != nil {
		return err
	}
	if f.memcached, err = startMemcached(ctx, net.JoinHostPort(network+"255", memcachedPort)); err != nil {
		return err
	}
	for i := range f.pods {
		p := &f.pods[i]
		p.socket = filepath.Join(f.dir, strconv.Itoa(i)+".sock")
		p.ops = net.JoinHostPort(network+strconv.Itoa(1+i), opsPort)
		if p.workers, err = f.startWorkers(ctx, *p, i*f.workers); err != nil {
			return err
		}
	}
	for w := range f.all() {
		if err := w.ready(); err != nil {
			return err
		}
	}
	return nil
}

// startWorkers starts the workers of one pod. The AppSecret is with whoever
// fetches: not in the workers of wxsidecar.
func (f *fleet) startWorkers(ctx context.Context, p pod, first int) ([]*process, error) {
	environ := append([]string{
		"PEERS_WECHAT=" + f.wechat.address, "SSL_CERT_FILE=" + f.wechat.roots,
		"WECHAT_APPID=" + appID, "MEMCACHED_SERVERS=" + f.memcached.address,
	}, f.environ...)
	if f.ours {
		environ = append(environ, "SIDECAR_URL=unix://"+p.socket)
	} else {
		environ = append(environ, "WECHAT_APPSECRET="+appSecret)
	}
	of := len(f.pods) * f.workers
	if f.runs != "" {
		one, err := start(ctx, environ, f.worker, "-contestant", f.runs,
			"-workers", strconv.Itoa(f.workers), "-first", strconv.Itoa(first), "-of", strconv.Itoa(of))
		return []*process{one}, err
	}
	php, err := exec.LookPath("php")
	if err != nil {
		return nil, errors.New("php is not installed: run make setup")
	}
	all := make([]*process, 0, f.workers)
	for i := range f.workers {
		one, err := start(ctx, environ, php, f.php, strconv.Itoa(first+i), strconv.Itoa(of))
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

// startSidecars starts all sidecars at once and waits for each to pass its startup
// probe, which is when Kubernetes starts the app beside a native sidecar. then is
// called for each pod when it is so far.
func (f *fleet) startSidecars(ctx context.Context, then func(pod) error) error {
	failed := make([]error, len(f.pods))
	var starting sync.WaitGroup
	for i := range f.pods {
		p := &f.pods[i]
		starting.Go(func() {
			if failed[i] = f.startSidecar(ctx, p); failed[i] == nil {
				failed[i] = then(*p)
			}
		})
	}
	starting.Wait()
	return errors.Join(failed...)
}

func (f *fleet) startSidecar(ctx context.Context, p *pod) error {
	if !f.ours {
		return nil
	}
	begin := time.Now()
	var err error
	p.sidecar, err = start(ctx, append([]string{
		"WECHAT_APPID=" + appID, "WECHAT_APPSECRET=" + appSecret, "WECHAT_TOKEN_API=" + f.api,
		"WECHAT_BASE_URL=" + f.wechat.url, "SSL_CERT_FILE=" + f.wechat.roots,
		"MEMCACHED_SERVERS=" + f.memcached.address, "SIDECAR_LISTEN=unix://" + p.socket, "SIDECAR_OPS_LISTEN=" + p.ops,
	}, f.environ...), f.sidecar)
	if err != nil {
		return err
	}
	err = p.sidecar.until(ctx, func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.ops+"/startupz", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	p.startedAfter = time.Since(begin)
	return err
}

// slowestStart is what the last sidecar took to start.
func (f *fleet) slowestStart() time.Duration {
	var slowest time.Duration
	for _, p := range f.pods {
		slowest = max(slowest, p.startedAfter)
	}
	return slowest
}

// all is every worker process.
func (f *fleet) all() func(yield func(*process) bool) {
	return func(yield func(*process) bool) {
		for _, p := range f.pods {
			for _, w := range p.workers {
				if !yield(w) {
					return
				}
			}
		}
	}
}

// warm lets one worker of each process ask once, one after the other: the kindest
// way to start a fleet.
func (f *fleet) warm() error {
	for w := range f.all() {
		if err := w.tell("once"); err != nil {
			return err
		}
		if t, err := w.hear(); err != nil || t.Given == 0 {
			return errors.Join(fmt.Errorf("%s: a worker got no token in peace", f.name), err)
		}
	}
	return nil
}

// work starts the workers.
func (f *fleet) work() error {
	for w := range f.all() {
		if err := w.tell("go"); err != nil {
			return err
		}
	}
	return nil
}

// rest stops them, and adds up what they met.
func (f *fleet) rest() (tally, error) {
	var sum tally
	for w := range f.all() {
		if err := w.tell("stop"); err != nil {
			return sum, err
		}
	}
	for w := range f.all() {
		t, err := w.hear()
		if err != nil {
			return sum, err
		}
		sum.add(t)
	}
	return sum, nil
}

// end ends all that the fleet started.
func (f *fleet) end() {
	for _, p := range f.pods {
		for _, w := range append(p.workers, p.sidecar) {
			if w != nil {
				w.kill()
			}
		}
	}
	if f.memcached != nil {
		f.memcached.kill()
	}
	if f.wechat != nil {
		f.wechat.stop()
	}
	_ = os.RemoveAll(f.dir) // in the system's folder for what is temporary
}
