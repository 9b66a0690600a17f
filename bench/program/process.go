package program

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// Process is a program that runs. On Linux it ends with this process.
type Process struct {
	Cmd    *exec.Cmd
	Began  time.Time // just before its exec
	Input  io.Writer
	Output *bufio.Reader
	stderr programtest.Output
	ended  chan struct{}
}

// Start starts a program with these variables and no others.
func Start(ctx context.Context, environ []string, path string, args ...string) (*Process, error) {
	p := &Process{Cmd: exec.CommandContext(ctx, path, args...), ended: make(chan struct{})} //nolint:gosec // built here, PHP, or memcached
	p.Cmd.Env = append([]string{}, environ...)                                              // never nil, which means the variables of this process
	p.Cmd.Stderr = &p.stderr
	input, err := p.Cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := p.Cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.Input, p.Output, p.Began = input, bufio.NewReader(output), time.Now()
	if err := start(p.Cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Cmd.Wait() // Until reports that it ended, with what it printed
	}()
	return p, nil
}

// Kill ends the process at once and waits for that. A nil process has ended.
func (p *Process) Kill() {
	if p != nil {
		_ = p.Cmd.Process.Kill()
		<-p.ended
	}
}

// Failed kills the process and returns an error with the end of its stderr.
func (p *Process) Failed() error {
	p.Kill()
	text := strings.TrimSpace(p.stderr.String())
	return fmt.Errorf("%s failed: %s", filepath.Base(p.Cmd.Path), programtest.Redact(text[max(0, len(text)-1000):]))
}

// Until calls ok at this interval until it reports true. It returns an error if the
// process or ctx ends first.
func (p *Process) Until(ctx context.Context, every time.Duration, ok func() bool) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", filepath.Base(p.Cmd.Path), ctx.Err())
		case <-p.ended:
			return p.Failed()
		case <-tick.C:
		}
	}
	return nil
}
