package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// pod is a sidecar and the ways from its pod.
type pod struct {
	world    *world
	number   int
	api, ops string // addresses
	way      *proxy // to memcached
	log      *podLog
	disk     string // where its mirrors are, as it sees it

	mu      sync.Mutex // guards what follows
	process *process
}

func (w *world) newPod(number int) (*pod, error) {
	p := &pod{world: w, number: number, disk: filepath.Join(w.dir, fmt.Sprint("disk", number))}
	var err error
	if p.api, err = programtest.FreeAddress(); err != nil {
		return nil, err
	}
	if p.ops, err = programtest.FreeAddress(); err != nil {
		return nil, err
	}
	err = os.Mkdir(p.disk, 0o700)
	if err == nil {
		p.way, err = newProxy(fmt.Sprint("memcached", number), w.memcached.address)
	}
	if err == nil {
		p.log, err = newPodLog(w, number)
	}
	return p, err
}

// prepare gives the sidecar a hosts file, no name server, and a small disk, and
// then becomes the sidecar.
const prepare = `mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/resolv.conf" /etc/resolv.conf &&
	mount -t tmpfs -o size=128k,mode=700 tmpfs "$1" && shift && exec "$@"`

// start starts the sidecar and waits until it answers.
func (p *pod) start(ctx context.Context) error {
	w := p.world
	environ := []string{
		"PATH=" + os.Getenv("PATH"),
		"WECHAT_ACCOUNTS_DIR=" + w.path("accounts"), "WECHAT_BASE_URL=" + w.wechat.url(), "SSL_CERT_FILE=" + w.path("authority.pem"),
		"MEMCACHED_SERVERS=" + p.way.Listen, "SIDECAR_LISTEN=" + p.api, "SIDECAR_OPS_LISTEN=" + p.ops,
		"MIRROR_FILE=" + filepath.Join(p.disk, "{appid}.json"),
		"WXSIDECAR_CHAOS=" + w.steps.dir,
	}
	running, err := start(environ, true, p.log, p.log, "/bin/sh", "-c", prepare, w.dir, p.disk, w.path("sidecar"))
	if err != nil {
		return fmt.Errorf("%w (a mount namespace needs root, or user namespaces)", err)
	}
	p.mu.Lock()
	p.process = running
	p.mu.Unlock()
	err = running.until(ctx, func() bool { return p.probe(ctx, "/livez") })
	if err != nil {
		return fmt.Errorf("start sidecar %d: %w; see %s", p.number, err, p.log.path)
	}
	return nil
}

// probes keeps no connection, which would be one of the sidecar's too.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// probe asks the ops listener.
func (p *pod) probe(ctx context.Context, path string) bool {
	_, err := p.ask(ctx, path)
	return err == nil
}

// remembered is the fingerprints of the tokens that the sidecar remembers, by account.
func (p *pod) remembered(ctx context.Context) (map[string]string, error) {
	text, err := p.ask(ctx, "/status.json")
	if err != nil {
		return nil, err
	}
	var status struct {
		Credentials []struct{ AppID, Fingerprint string }
	}
	if err = json.Unmarshal(text, &status); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, c := range status.Credentials {
		all[c.AppID] = c.Fingerprint
	}
	return all, nil
}

// ask asks the ops listener too, for what it answers with 200.
func (p *pod) ask(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.ops+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := probes.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: HTTP %d", path, answer.StatusCode)
	}
	return io.ReadAll(answer.Body)
}

func (p *pod) now() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

// kill is SIGKILL; restart starts it again.
func (p *pod) kill() { p.now().kill() }

func (p *pod) freeze() { p.now().signal(syscall.SIGSTOP) }
func (p *pod) thaw()   { p.now().signal(syscall.SIGCONT) }

// inside is a path of the sidecar's as we reach it.
func (p *pod) inside(path string) string { return p.now().proc("root") + path }

// fill fills the disk to the last byte; free frees it.
func (p *pod) fill() error {
	path := p.inside(filepath.Join(p.disk, "full"))
	err := os.WriteFile(path, []byte(strings.Repeat("x", 1<<20)), 0o600)
	if err == nil {
		return fmt.Errorf("the disk of sidecar %d takes a megabyte", p.number)
	}
	return nil
}

func (p *pod) free() error { return os.Remove(p.inside(filepath.Join(p.disk, "full"))) }

// podOf is the pod of a process.
func (w *world) podOf(pid int) (*pod, error) {
	for _, p := range w.pods {
		if p.now().pid() == pid {
			return p, nil
		}
	}
	return nil, fmt.Errorf("process %d is none of our sidecars", pid)
}
