//go:build chaos

package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// chaosDir is the folder in which bench/chaos orders what happens, in this build alone.
var chaosDir = os.Getenv("WXSIDECAR_CHAOS")

// failpoint is a step of a renewal. If a file in chaosDir, named after the AppID, has the
// text "<step> <what>", the first process at that step takes it, by a rename that adds its
// process id. Then it kills itself, stops itself, or continues.
func (c *credential) failpoint(step string) {
	order := filepath.Join(chaosDir, c.account.AppID)
	text, err := os.ReadFile(order) //nolint:gosec // an AppID is letters and digits
	at, what, _ := strings.Cut(string(text), " ")
	if c.kind != memcache.AccessToken || err != nil || at != step || os.Rename(order, fmt.Sprintf("%s.%d", order, os.Getpid())) != nil {
		return
	}
	switch what {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		<-time.After(50 * time.Millisecond) // all threads have stopped by then; SIGCONT continues
	}
}

// init writes the number of goroutines, and the bytes of the heap in use at the last
// collection, to a file every second.
func init() {
	if chaosDir == "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	go func() {
		for range time.Tick(time.Second) {
			metrics.Read(live)
			name := filepath.Join(chaosDir, fmt.Sprintf("held.%d", os.Getpid()))
			if os.WriteFile(name+".new", fmt.Appendf(nil, "%d %d", runtime.NumGoroutine(), live[0].Value.Uint64()), 0o600) == nil {
				_ = os.Rename(name+".new", name) // read while it is written, it would be empty
			}
		}
	}()
}
