package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// bench is what all fleets of a run have in common.
type bench struct {
	programs string   // the folder of sidecar and worker
	php      string   // the path of worker.php
	workers  int      // of a pod
	environ  []string // more variables of sidecars and workers; none in a real run, which keeps to the defaults
	// window is how long the workers work in a situation, later how long they work
	// once more, five minutes later by WeChat's clock.
	window, later time.Duration
}

// newBench builds the programs into a folder, which the caller removes.
func newBench(ctx context.Context) (bench, error) {
	const peers = "github.com/wxsidecar/wxsidecar/bench/peers"
	here, err := program.Go(ctx, "list", "-m", "-f", "{{.Dir}}", peers)
	if err != nil {
		return bench{}, err
	}
	b := bench{php: filepath.Join(here, "worker", "worker.php")}
	if b.programs, err = os.MkdirTemp("", "peers"); err != nil {
		return bench{}, err
	}
	return b, program.Build(ctx, b.programs, peers+"/worker")
}

// fleet is pods of one contestant, with a WeChat and a memcached of their own.
type fleet struct {
	contestant
	bench
	dir       string
	wechat    *weChat
	memcached *program.Memcached
	pods      []pod
}

// pod is the workers of one, and its sidecar if the contestant has one. Workers in
// Go are one process; PHP has a process for each, as PHP-FPM has.
type pod struct {
	workers      []worker
	sidecar      *program.Process
	socket       string // of the sidecar's API
	startedAfter time.Duration
}

// worker is a process of workers, which obeys commands.
type worker struct{ *program.Process }

// newFleet starts everything but the sidecars. Its workers wait for commands.
func newFleet(ctx context.Context, b bench, c contestant, pods int) (*fleet, error) {
	f := &fleet{contestant: c, bench: b, pods: make([]pod, pods)}
	if err := f.start(ctx); err != nil {
		f.end()
		return nil, err
	}
	return f, nil
}

func (f *fleet) start(ctx context.Context) (err error) {
	if f.dir, err = os.MkdirTemp("", "peers"); err != nil {
		return err
	}
	if f.wechat, err = newWeChat(f.dir); err != nil {
		return err
	}
	address, err := programtest.FreeAddress()
	if err != nil {
		return err
	}
	if f.memcached, err = program.StartMemcached(ctx, address); err != nil {
		return err
	}
	for i := range f.pods {
		p := &f.pods[i]
		p.socket = filepath.Join(f.dir, strconv.Itoa(i)+".sock")
		if err := f.startWorkers(ctx, p, i*f.workers); err != nil {
			return err
		}
	}
	for w := range f.all() {
		if line, err := w.Output.ReadString('\n'); err != nil || line != "ready\n" {
			return w.Failed()
		}
	}
	return nil
}

// startWorkers starts the workers of one pod, of which the first has this place
// among all. wxsidecar's workers do not get the AppSecret.
func (f *fleet) startWorkers(ctx context.Context, p *pod, first int) error {
	environ := append([]string{
		"PEERS_WECHAT=" + f.wechat.address, "SSL_CERT_FILE=" + f.wechat.roots,
		"WECHAT_APPID=" + appID, "MEMCACHED_SERVERS=" + f.memcached.Address,
	}, f.environ...)
	if f.ours {
		environ = append(environ, "SIDECAR_URL=unix://"+p.socket)
	} else {
		environ = append(environ, "WECHAT_APPSECRET="+appSecret)
	}
	of := strconv.Itoa(len(f.pods) * f.workers)
	start := func(path string, args ...string) error {
		one, err := program.Start(ctx, environ, path, args...)
		if err == nil {
			p.workers = append(p.workers, worker{one})
		}
		return err
	}
	if f.runs != "" {
		return start(filepath.Join(f.programs, "worker"), "-contestant", f.runs,
			"-workers", strconv.Itoa(f.workers), "-first", strconv.Itoa(first), "-of", of)
	}
	php, err := exec.LookPath("php")
	if err != nil {
		return errors.New("php is not installed; install it with its extension memcache")
	}
	for i := range f.workers {
		if err := start(php, f.php, strconv.Itoa(first+i), of); err != nil {
			return err
		}
	}
	return nil
}

// startSidecars starts all sidecars at once and waits for each to pass its startup
// probe, which is when Kubernetes starts the app beside a native sidecar. It then
// calls then for the pod.
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
	ops, err := programtest.FreeAddress()
	if err != nil {
		return err
	}
	p.sidecar, err = program.Start(ctx, append([]string{
		"WECHAT_APPID=" + appID, "WECHAT_APPSECRET=" + appSecret, "WECHAT_TOKEN_API=" + f.api,
		"WECHAT_BASE_URL=" + f.wechat.url, "SSL_CERT_FILE=" + f.wechat.roots,
		"MEMCACHED_SERVERS=" + f.memcached.Address, "SIDECAR_LISTEN=unix://" + p.socket, "SIDECAR_OPS_LISTEN=" + ops,
	}, f.environ...), filepath.Join(f.programs, "sidecar"))
	if err != nil {
		return err
	}
	err = p.sidecar.Until(ctx, 2*time.Millisecond, func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+"/startupz", nil)
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
	p.startedAfter = time.Since(p.sidecar.Began)
	return err
}

// all returns every worker process.
func (f *fleet) all() iter.Seq[worker] {
	return func(yield func(worker) bool) {
		for _, p := range f.pods {
			for _, w := range p.workers {
				if !yield(w) {
					return
				}
			}
		}
	}
}

// warmUp lets one worker of each process ask once, one after the other.
func (f *fleet) warmUp() error {
	for w := range f.all() {
		if err := w.send("once"); err != nil {
			return err
		}
		if t, err := w.receive(); err != nil || t.Given == 0 {
			return errors.Join(fmt.Errorf("%s: a worker got no token although nothing fails", f.name), err)
		}
	}
	return nil
}

// work starts the workers.
func (f *fleet) work() error {
	for w := range f.all() {
		if err := w.send("go"); err != nil {
			return err
		}
	}
	return nil
}

// stop stops the workers and returns the sum of their tallies.
func (f *fleet) stop() (tally, error) {
	var sum tally
	for w := range f.all() {
		if err := w.send("stop"); err != nil {
			return sum, err
		}
	}
	for w := range f.all() {
		t, err := w.receive()
		if err != nil {
			return sum, err
		}
		sum.add(t)
	}
	return sum, nil
}

// end ends all that the fleet started.
func (f *fleet) end() {
	for w := range f.all() {
		w.Kill()
	}
	for _, p := range f.pods {
		p.sidecar.Kill()
	}
	if f.memcached != nil {
		f.memcached.Kill()
	}
	if f.wechat != nil && f.wechat.stop != nil {
		f.wechat.stop()
	}
	_ = os.RemoveAll(f.dir) // a temporary folder
}

// send sends a command.
func (w worker) send(command string) error {
	if _, err := io.WriteString(w.Input, command+"\n"); err != nil {
		return w.Failed()
	}
	return nil
}

// receive reads a tally.
func (w worker) receive() (tally, error) {
	var t tally
	line, err := w.Output.ReadBytes('\n')
	if err != nil {
		return t, w.Failed()
	}
	return t, json.Unmarshal(line, &t)
}
