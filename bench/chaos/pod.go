package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// pod is a sidecar and what surrounds it.
type pod struct {
	harness        *harness
	number         int
	api, opsListen string // addresses
	proxy          *proxy // to memcached
	log            string // the file of what it prints
	disk           string // the folder of its mirrors, as the sidecar sees it

	mu      sync.Mutex // guards process
	process *program.Process
}

func (h *harness) newPod(number int) (*pod, error) {
	p := &pod{
		harness: h, number: number, disk: h.path(fmt.Sprint("disk", number)),
		log: filepath.Join(h.out, fmt.Sprintf("sidecar-%d.log", number)),
	}
	var err error
	if p.api, err = programtest.FreeAddress(); err != nil {
		return nil, err
	}
	if p.opsListen, err = programtest.FreeAddress(); err != nil {
		return nil, err
	}
	if err = os.Mkdir(p.disk, 0o700); err != nil {
		return nil, err
	}
	if err = os.WriteFile(p.log, nil, 0o600); err != nil {
		return nil, err
	}
	p.proxy, err = newProxy(fmt.Sprint("memcached", number), h.memcached.Address)
	return p, err
}

// prepare mounts a hosts file, no name server, and a small disk, and then becomes the
// sidecar.
const prepare = `mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/resolv.conf" /etc/resolv.conf &&
	mount -t tmpfs -o size=128k,mode=700 tmpfs "$1" && exec "$0/sidecar" >>"$2" 2>&1`

// start starts the sidecar and waits until it answers.
func (p *pod) start(ctx context.Context) error {
	h := p.harness
	unshare := "-m"
	if os.Getuid() != 0 {
		unshare = "-rm" // with a user namespace too
	}
	process, err := program.Start(ctx, []string{
		"PATH=" + os.Getenv("PATH"),
		"WECHAT_ACCOUNTS_DIR=" + h.path("accounts"), "WECHAT_BASE_URL=" + h.wechat.url(), "SSL_CERT_FILE=" + h.path("authority.pem"),
		"MEMCACHED_SERVERS=" + p.proxy.Listen, "SIDECAR_LISTEN=" + p.api, "SIDECAR_OPS_LISTEN=" + p.opsListen,
		"MIRROR_FILE=" + filepath.Join(p.disk, "{appid}.json"), "WXSIDECAR_CHAOS=" + h.path("failpoints"),
	}, "unshare", unshare, "/bin/sh", "-c", prepare, h.dir, p.disk, p.log)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.process = process
	p.mu.Unlock()
	err = process.Until(ctx, 10*time.Millisecond, func() bool { _, err := p.ops(ctx, "/livez"); return err == nil })
	if err != nil {
		return fmt.Errorf("start sidecar %d: %w; see %s (a mount namespace needs root, or user namespaces)", p.number, err, p.log)
	}
	return nil
}

// running returns the sidecar's process, which can have ended.
func (p *pod) running() *program.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

func (p *pod) pid() int { return p.running().Cmd.Process.Pid }

func (p *pod) signal(s syscall.Signal) { _ = p.running().Cmd.Process.Signal(s) } // it can have ended

// proc returns the path of a file of the sidecar's process below /proc.
func (p *pod) proc(name string) string { return filepath.Join("/proc", strconv.Itoa(p.pid()), name) }

// inside returns a path of the sidecar as this program reaches it.
func (p *pod) inside(path string) string { return p.proc("root") + path }

// probes keeps no connections: the sidecar's descriptors are counted.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}

// ops returns the ops listener's answer. It returns an error unless the status is 200.
func (p *pod) ops(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.opsListen+path, nil)
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

// fingerprints returns the fingerprints of the tokens that the sidecar remembers, by
// account.
func (p *pod) fingerprints(ctx context.Context) (map[string]string, error) {
	text, err := p.ops(ctx, "/status.json")
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
