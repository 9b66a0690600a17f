//go:build attack

package systemtest

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	// podLimit is the manifests' memory limit and GOMEMLIMIT.
	podLimit = 32 << 20
	// probePatience and probeFailures are timeoutSeconds and failureThreshold of the
	// manifests' probes. Here they come every 0.1 s, not every 10 s.
	probePatience = 2 * time.Second
	probeFailures = 3
)

// attackTime is how long each attack lasts.
var attackTime = flag.Duration("attack.time", 6*time.Second, "how long each attack of TestAttack_All lasts")

// target is a real sidecar under attack. Meanwhile an app reads tokens over a new
// connection each time, and a probe checks its health.
type target struct {
	name, attackers string
	wechat          *wechattest.Server
	memcached       *memcachetest.Server
	sidecar         *process
	api, ops        string
	cgroup          *cgroup      // nil if this machine does not allow one
	peak            atomic.Int64 // of private memory, in bytes
	reads, probes   observed
}

// rows are the table that a whole run prints. noCgroup is why it lacks the cgroup's
// figures, or nil.
var (
	rows     []string
	noCgroup error
)

// runAttack starts the sidecar, waits for its token, runs the attack and adds a row of
// what was measured.
func runAttack(t *testing.T, name, attackers string, environ []string, s *target, attack func(ctx context.Context, s *target)) {
	t.Helper()
	s.name, s.attackers = name, attackers
	s.api, s.ops = programtest.Address(t), programtest.Address(t)
	s.start(t, append([]string{
		"WECHAT_APPID=" + appID, "WECHAT_APPSECRET=" + testSecret, "SIDECAR_LISTEN=" + s.api, "SIDECAR_OPS_LISTEN=" + s.ops,
		"GOMEMLIMIT=" + strconv.Itoa(podLimit), "LOG_LEVEL=error",
	}, environ...))
	require.Eventually(t, func() bool { return s.read(t.Context()) == nil }, patience, often, "a token: %s", where{s})

	ctx, end := context.WithCancel(t.Context())
	var measuring sync.WaitGroup
	measuring.Go(func() { every(ctx, 5*time.Millisecond, s.measure) })
	watcher := s.watch(t)
	attacking, stop := context.WithTimeout(ctx, *attackTime)
	attack(attacking, s)
	<-attacking.Done()
	stop()
	end()
	measuring.Wait()
	watcher()

	require.NoError(t, s.read(t.Context()), "the sidecar still answers")
	rows = append(rows, fmt.Sprintf("| %s | %s | %s | %.1f MB | %s, %d | %s ms | %d, %d | %s ms |", s.name, s.attackers, s.cgroupCells(t), float64(s.peak.Load())/1e6,
		thousands(s.reads.Done), s.reads.Failed, thousands(int(s.reads.Worst.Milliseconds())), s.probes.Done, s.probes.Failed, thousands(int(s.probes.Worst.Milliseconds()))))
	t.Log(rows[len(rows)-1])
	assert.Less(t, s.peak.Load(), int64(podLimit), "private memory stays within the pod's limit")
	assert.Zero(t, s.reads.Failed, "readers get their token: %v", s.reads.First)
	assert.Less(t, s.probes.Longest, probeFailures, "Kubernetes would restart it: %v", s.probes.First)
	assert.Positive(t, s.reads.Done)
	assert.Equal(t, exitFine, s.sidecar.terminates(t))
	programtest.AssertNoCanary(t, s.sidecar.Stderr.String())
}

// thousands formats a number of up to six digits with a comma.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// start starts the sidecar, in its own cgroup if possible.
func (s *target) start(t *testing.T, environ []string) {
	t.Helper()
	program, err := builtAsImage()
	require.NoError(t, err)
	var args []string
	if s.cgroup, err = newCgroup(t); err != nil {
		noCgroup = err
	} else {
		forget(t, program)
		program, args = s.cgroup.into(program)
	}
	s.sidecar = spawnProgram(t, program, environ, args...)
}

// cgroupCells returns the cells of the cgroup's peaks. The kernel must not have killed.
func (s *target) cgroupCells(t *testing.T) string {
	t.Helper()
	if s.cgroup == nil {
		return "– | –"
	}
	s.cgroup.measure()
	assert.Zero(t, s.cgroup.kills(t), "processes killed in the sidecar's cgroup: it exceeded the pod's limit")
	assert.Less(t, s.cgroup.held.Load(), int64(podLimit), "memory without page cache, with socket buffers, stays within the pod's limit")
	return fmt.Sprintf("%.1f MB | %.1f MB", float64(s.cgroup.peak.Load())/1e6, float64(s.cgroup.held.Load())/1e6)
}

// newTarget starts a WeChat over https and a memcached. It returns the variables of a
// sidecar that uses them.
func newTarget(t *testing.T) (*target, []string) {
	t.Helper()
	s := &target{wechat: wechattest.New(), memcached: memcachetest.New()}
	s.wechat.AddAccount(appID, testSecret)
	url, certificate, stop, err := s.wechat.ListenTLS()
	require.NoError(t, err)
	t.Cleanup(stop)
	return s, append(s.serveMemcached(t), "WECHAT_BASE_URL="+url, trusting(t, certificate))
}

func (s *target) serveMemcached(t *testing.T) []string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.memcached.Serve(l) }()
	t.Cleanup(func() { assert.NoError(t, s.memcached.Close()) })
	return []string{"MEMCACHED_SERVERS=" + l.Addr().String()}
}

// trusting returns the variable that adds a certificate to the system's.
func trusting(t *testing.T, certificate []byte) string {
	t.Helper()
	system, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	require.NoError(t, err, "install ca-certificates")
	return "SSL_CERT_FILE=" + programtest.WriteFile(t, filepath.Join(t.TempDir(), "roots.pem"), string(system)+string(certificate))
}

// every calls work every d until ctx ends.
func every(ctx context.Context, d time.Duration, work func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for ctx.Err() == nil {
		work()
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// measure updates the peak of private memory.
func (s *target) measure() {
	if s.cgroup != nil {
		s.cgroup.measure()
	}
	s.peak.Store(max(s.peak.Load(), privateMemory(s.sidecar.Command.Process.Pid)))
}

// privateMemory returns that of a process in bytes, or 0 after its end.
func privateMemory(pid int) int64 {
	for line := range strings.SplitSeq(read(fmt.Sprintf("/proc/%d/status", pid)), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "RssAnon:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

var builtAsImage = sync.OnceValues(func() (string, error) { return build("sidecar-image", "-trimpath", "-ldflags", "-s -w") })

// Real sidecars are attacked from all sides, one after the other, and so is an app with
// the client. Memory stays within the pod's limit, readers get tokens and probes succeed.
// The test prints a table of each.
func TestAttack_All(t *testing.T) {
	t.Run("API", attackAPI)
	t.Run("ops", attackOps)
	// Not in parallel: the servers of one would wait for the processor behind the attackers of
	// the other, which are in this process too.
	t.Run("memcached", attackFromMemcached)
	t.Run("WeChat", attackFromWeChat)
	t.Run("client", attackClient)
	_, _ = fmt.Fprintln(os.Stdout, "| attack | attackers | peak of its cgroup | without page cache | peak private memory | tokens read, failed | the slowest | probes, failed | the slowest probe |\n"+
		"|---|---|---|---|---|---|---|---|---|\n"+strings.Join(rows, "\n"))
	_, _ = fmt.Fprintln(os.Stdout, "\n| attack on an app's client | callers | peak private memory | calls, failed | the slowest |\n|---|---|---|---|---|\n"+
		strings.Join(clientRows, "\n"))
	if noCgroup != nil {
		_, _ = fmt.Fprintf(os.Stdout, "\nThe limit was checked for the process's own memory, without the kernel's: %v\n", noCgroup)
	}
}

// where is [programtest.Process.Where] when it is printed.
type where struct{ of *target }

func (w where) String() string { return w.of.sidecar.Where() }
