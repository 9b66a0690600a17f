//go:build attack

package systemtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// observed is what a reader or a probe saw.
type observed struct {
	Done, Failed int
	First        string        // the first failure
	Row, Longest int           // failures in a row, now and at most
	Worst        time.Duration // the slowest answer
}

func (w *observed) note(took time.Duration, err error) {
	w.Done++
	w.Worst = max(w.Worst, took)
	w.Row++
	if err == nil {
		w.Row = 0
		return
	}
	if w.Failed++; w.Failed == 1 {
		w.First = err.Error()
	}
	w.Longest = max(w.Longest, w.Row)
}

func (w *observed) time(ctx context.Context, ask func(context.Context) error) {
	begin := time.Now()
	err := ask(ctx)
	if err != nil && ctx.Err() != nil { // the attack ended: the wait counts
		w.Worst = max(w.Worst, time.Since(begin))
		return
	}
	w.note(time.Since(begin), err)
}

// read gets a token over a new connection.
func (s *target) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 13*time.Second)
	defer cancel()
	return ask(ctx, "http://"+s.api+"/v1/"+appID+"/access_token")
}

func (s *target) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	return ask(ctx, "http://"+s.ops+"/livez")
}

// watcherVariable makes the test binary the watcher of an attack.
const watcherVariable = "WXSIDECAR_WATCH"

// watch starts a process that reads and probes. In this process they would queue behind
// the attackers. stop ends it and takes over its results.
func (s *target) watch(t *testing.T) (stop func()) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	watcher := exec.Command(self)
	watcher.Env = []string{watcherVariable + "=" + s.api + " " + s.ops}
	watcher.Stderr = os.Stderr
	var saw bytes.Buffer
	watcher.Stdout = &saw
	begin, err := watcher.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, watcher.Start())
	for _, p := range []*os.Process{watcher.Process, s.sidecar.Command.Process} { // in production they are not on the attackers' machine
		require.NoError(t, syscall.Setpriority(syscall.PRIO_PROCESS, p.Pid, -5), "needs root")
	}
	return func() {
		require.NoError(t, begin.Close())
		require.NoError(t, watcher.Wait())
		require.NoError(t, json.Unmarshal(saw.Bytes(), &[]any{&s.reads, &s.probes}))
	}
}

func init() {
	if os.Getenv(watcherVariable) == "" {
		return
	}
	s := &target{}
	_, _ = fmt.Sscan(os.Getenv(watcherVariable), &s.api, &s.ops)
	ctx, end := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() { every(ctx, 20*time.Millisecond, func() { s.reads.time(ctx, s.read) }) })
	both.Go(func() { every(ctx, 100*time.Millisecond, func() { s.probes.time(ctx, s.probe) }) })
	_, _ = io.Copy(io.Discard, os.Stdin)
	end()
	both.Wait()
	_ = json.NewEncoder(os.Stdout).Encode([]any{s.reads, s.probes})
	os.Exit(0)
}

// ask sends a request over a new connection.
func ask(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Wxsidecar", "1")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return nil
}
