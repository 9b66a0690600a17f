//go:build attack

package systemtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// cgroup is a memory cgroup with the manifests' limit and no swap, as Kubernetes makes
// it for a container. It counts the kernel's memory and page cache too. The kernel kills
// a process that exceeds it.
type cgroup struct {
	folder string
	names  cgroupNames
	limit  int64        // in bytes, without what the kernel counts separately
	peak   atomic.Int64 // in bytes, by the kernel or as measured
	held   atomic.Int64 // peak without page cache, in bytes
}

// cgroupNames are the names of the same files in the two versions of cgroups.
type cgroupNames struct{ limit, swap, usage, peak, events, files, sockets string }

var (
	unified = cgroupNames{limit: "memory.max", swap: "memory.swap.max", usage: "memory.current", peak: "memory.peak", events: "memory.events", files: "file"}
	// The first version counts socket buffers separately, and only if they have a limit.
	// The test adds them and lowers the other limit, so that both versions count alike.
	legacy = cgroupNames{
		limit: "memory.limit_in_bytes", swap: "memory.memsw.limit_in_bytes", usage: "memory.usage_in_bytes",
		peak: "memory.max_usage_in_bytes", events: "memory.oom_control", files: "cache", sockets: "memory.kmem.tcp.",
	}
)

// errNoCgroup is the error if this machine does not allow a memory cgroup.
var errNoCgroup = errors.New("no memory cgroup can be made here")

// newCgroup makes one for the test.
func newCgroup(t *testing.T) (*cgroup, error) {
	t.Helper()
	own, top, names, err := memoryCgroup()
	if err != nil {
		return nil, err
	}
	// Below this process's own, or the nearest one above that delegates memory.
	for parent := own; ; parent = filepath.Dir(parent) {
		c := &cgroup{folder: filepath.Join(parent, fmt.Sprintf("wxsidecar-attack-%d-%d", os.Getpid(), time.Now().UnixNano())), names: names}
		err = c.build()
		if err == nil {
			t.Cleanup(func() { require.NoError(t, syscall.Rmdir(c.folder)) })
			return c, nil
		}
		_ = syscall.Rmdir(c.folder)
		if parent == top || len(parent) <= len(top) {
			return nil, fmt.Errorf("%w: %w", errNoCgroup, err)
		}
	}
}

func (c *cgroup) build() error {
	if err := os.Mkdir(c.folder, 0o755); err != nil {
		return err
	}
	limit := strconv.Itoa(podLimit)
	c.limit = podLimit
	if err := c.write(c.names.limit, limit); err != nil {
		return err
	}
	swap := "0"
	if c.names == legacy {
		swap = limit // of both together
		if err := c.write(c.names.sockets+"limit_in_bytes", limit); err != nil {
			return err
		}
	}
	if err := c.write(c.names.swap, swap); err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without swap
		return err
	}
	return nil
}

func (c *cgroup) write(name, value string) error {
	f, err := os.OpenFile(filepath.Join(c.folder, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// number returns the content of a file of the cgroup, or 0 if it does not exist.
func (c *cgroup) number(name string) int64 {
	text, _ := os.ReadFile(filepath.Join(c.folder, name))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// measure updates peak and held.
func (c *cgroup) measure() {
	var sockets int64
	if c.names.sockets != "" {
		sockets = c.number(c.names.sockets + "usage_in_bytes")
		c.leave(sockets)
	}
	now := c.number(c.names.usage) + sockets
	c.peak.Store(max(c.peak.Load(), now, c.number(c.names.peak)))
	files, _ := c.counter("memory.stat", c.names.files)
	c.held.Store(max(c.held.Load(), now-files))
}

// leave lowers the limit of everything else by the size of the socket buffers, or raises
// it again. The kernel drops page cache for it, if not now then at the next measurement.
func (c *cgroup) leave(sockets int64) {
	const step = 64 << 10 // not for every packet
	limit := podLimit - (sockets+step-1)/step*step
	if limit == c.limit {
		return
	}
	if c.write(c.names.limit, strconv.FormatInt(limit, 10)) == nil {
		c.limit = limit
	}
}

// kills returns how many processes the kernel has killed in it.
func (c *cgroup) kills(t *testing.T) int {
	t.Helper()
	n, ok := c.counter(c.names.events, "oom_kill")
	require.True(t, ok, "the kernel does not count its kills: %s", c.names.events)
	return int(n)
}

// counter returns one line of a file with several.
func (c *cgroup) counter(file, name string) (n int64, ok bool) {
	for line := range strings.SplitSeq(read(filepath.Join(c.folder, file)), "\n") {
		if value, found := strings.CutPrefix(line, name+" "); found {
			n, err := strconv.ParseInt(value, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// into returns the command of a shell that enters the cgroup and becomes the program, so
// that its memory counts from the first page on.
func (c *cgroup) into(program string) (string, []string) {
	return "/bin/sh", []string{"-c", `echo $$ >"$1" && exec "$0"`, program, filepath.Join(c.folder, "cgroup.procs")}
}

// memoryCgroup returns the folder of this process's memory cgroup, and the topmost one
// that is visible.
func memoryCgroup() (own, top string, names cgroupNames, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", names, fmt.Errorf("%w: %w", errNoCgroup, err)
	}
	for line := range strings.SplitSeq(string(mounts), "\n") {
		mount, kind, ok := strings.Cut(line, " - ")
		fields, kinds := strings.Fields(mount), strings.Fields(kind)
		if !ok || len(fields) < 5 || len(kinds) < 3 {
			continue
		}
		switch {
		case kinds[0] == "cgroup" && hasWord(kinds[2], ",", "memory"):
			names = legacy
		case kinds[0] == "cgroup2" && hasWord(read(filepath.Join(fields[4], "cgroup.controllers")), " ", "memory"):
			names = unified
		default:
			continue
		}
		path := strings.TrimPrefix(ownCgroup(names), fields[3]) // a container's mount begins at its own
		return filepath.Join(fields[4], path), filepath.Clean(fields[4]), names, nil
	}
	return "", "", names, fmt.Errorf("%w: no memory controller is mounted", errNoCgroup)
}

// ownCgroup returns the path of this process's cgroup within its hierarchy.
func ownCgroup(names cgroupNames) string {
	for line := range strings.SplitSeq(read("/proc/self/cgroup"), "\n") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) == 3 && (names == unified && fields[0] == "0" || names == legacy && hasWord(fields[1], ",", "memory")) {
			return fields[2]
		}
	}
	return "/"
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}

func hasWord(text, separator, word string) bool {
	for w := range strings.SplitSeq(text, separator) {
		if w == word {
			return true
		}
	}
	return false
}

// forget drops the page cache of a file, so that the next reader pays for it.
func forget(t *testing.T, path string) {
	t.Helper()
	const dontNeed = 4
	f, err := os.Open(path)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	_, _, failed := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0)
	require.Zero(t, failed)
	require.NoError(t, f.Close())
}

// The machine has one version of cgroups. This test reads both.
func TestAttack_ReadsBothCgroupVersions(t *testing.T) {
	for _, v := range []struct {
		names cgroupNames
		files map[string]string
	}{
		{unified, map[string]string{
			"memory.current": "900\n", "memory.peak": "1000\n", "memory.stat": "anon 500\nfile_mapped 7\nfile 300\n",
			"memory.events": "low 0\noom 3\noom_kill 2\noom_group_kill 1\n",
		}},
		{legacy, map[string]string{
			"memory.usage_in_bytes": "700\n", "memory.kmem.tcp.usage_in_bytes": "200\n", "memory.max_usage_in_bytes": "1000\n", "memory.limit_in_bytes": "",
			"memory.stat": "cache 300\nrss 400\ntotal_cache 999\n", "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
		}},
	} {
		c := &cgroup{folder: t.TempDir(), names: v.names, limit: podLimit}
		for name, text := range v.files {
			programtest.WriteFile(t, filepath.Join(c.folder, name), text)
		}
		c.measure()
		assert.Equal(t, int64(1000), c.peak.Load(), "the kernel's own peak counts")
		assert.Equal(t, int64(600), c.held.Load(), "page cache does not count, socket buffers do")
		assert.Equal(t, 2, c.kills(t))
		if v.names == legacy {
			assert.Equal(t, int64(podLimit-64<<10), c.number(v.names.limit), "the limit is lowered by the socket buffers")
		}
	}
}
