package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// process is a program that runs.
type process struct {
	cmd      *exec.Cmd
	commands io.Writer
	answers  *bufio.Reader
	stderr   tail
	ended    chan struct{}
}

// start starts a program with this environment and no other.
func start(ctx context.Context, environ []string, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, program, args...), ended: make(chan struct{})} //nolint:gosec // built here, PHP, or memcached
	p.cmd.Env = environ
	p.cmd.Stderr = &p.stderr
	commands, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.commands, p.answers = commands, bufio.NewReader(answers)
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

// ready waits for a worker's first line.
func (p *process) ready() error {
	if line, err := p.answers.ReadString('\n'); err != nil || line != "ready\n" {
		return p.lost()
	}
	return nil
}

// tell gives a worker a command.
func (p *process) tell(command string) error {
	if _, err := io.WriteString(p.commands, command+"\n"); err != nil {
		return p.lost()
	}
	return nil
}

// hear reads a worker's answer.
func (p *process) hear() (tally, error) {
	line, err := p.answers.ReadBytes('\n')
	if err != nil {
		return tally{}, p.lost()
	}
	var t tally
	if err := json.Unmarshal(line, &t); err != nil {
		return tally{}, errors.New("a worker printed what is no tally")
	}
	return t, nil
}

// lost is the error of a process that does not do as it should.
func (p *process) lost() error {
	p.kill()
	return fmt.Errorf("%s failed: %s", filepath.Base(p.cmd.Path), p.stderr.String())
}

// until calls ok every so often until it reports true; an error when the program
// or ctx ends first.
func (p *process) until(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", filepath.Base(p.cmd.Path), ctx.Err())
		case <-p.ended:
			return p.lost()
		case <-tick.C:
		}
	}
	return nil
}

// tail is the end of what a program wrote to stderr.
type tail struct{ text bytes.Buffer }

// Write implements io.Writer; one goroutine of os/exec calls it.
func (t *tail) Write(p []byte) (int, error) {
	t.text.Write(p)
	if more := t.text.Len() - 2000; more > 0 {
		t.text.Next(more)
	}
	return len(p), nil
}

// String leaves out what may name a secret. Call it once the program has ended.
func (t *tail) String() string {
	text := strings.TrimSpace(t.text.String())
	if strings.Contains(text, "canary") {
		return "(it wrote a token or the AppSecret; left out)"
	}
	return text
}
