package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// process is a program that runs.
type process struct {
	cmd    *exec.Cmd
	began  time.Time // just before its exec
	stderr tail
	ended  chan struct{}
}

// start starts a program with this environment and no other.
func start(ctx context.Context, environ []string, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, program, args...), ended: make(chan struct{})} //nolint:gosec // built here, or memcached
	p.cmd.Env = environ
	p.cmd.Stderr = &p.stderr
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended matters to nobody
	}()
	return p, nil
}

// kill ends it at once and waits.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// until calls ok every so often until it reports true; an error when the program
// or ctx ends first.
func (p *process) until(ctx context.Context, every time.Duration, ok func() bool) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", filepath.Base(p.cmd.Path), ctx.Err())
		case <-p.ended:
			return fmt.Errorf("%s ended: %s", filepath.Base(p.cmd.Path), p.stderr.String())
		case <-tick.C:
		}
	}
	return nil
}

// cpu is the processor time that its threads have used, in nanoseconds.
func (p *process) cpu() (float64, error) {
	threads, err := filepath.Glob(filepath.Join(p.proc(), "task", "*", "schedstat"))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("%s has no schedstat: this needs Linux", p.proc())
	}
	sum := 0.0
	for _, path := range threads {
		text, err := os.ReadFile(path) //nolint:gosec // of /proc
		if err != nil {
			continue // the thread has just ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseFloat(first, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		sum += ns
	}
	return sum, nil
}

// memory is what a process occupies, in bytes.
type memory struct {
	anonymous float64 // its own, paid once per pod
	resident  float64 // with the pages of its file, which a node has once
}

func (p *process) memory() (memory, error) {
	text, err := os.ReadFile(filepath.Join(p.proc(), "smaps_rollup"))
	if err != nil {
		return memory{}, fmt.Errorf("memory: %w", err)
	}
	var m memory
	for line := range strings.SplitSeq(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		kilobytes, _ := strconv.ParseFloat(fields[1], 64) // not a number: not one of these lines
		switch fields[0] {
		case "Anonymous:":
			m.anonymous = kilobytes * 1024
		case "Rss:":
			m.resident = kilobytes * 1024
		}
	}
	return m, nil
}

func (p *process) proc() string { return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid)) }

// tail is the end of what a program printed.
type tail struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(p)
	if more := t.text.Len() - 1000; more > 0 {
		t.text.Next(more)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.text.String())
}
