package programtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Launch starts a command for a program that is not a test. The process keeps what
// the command prints, except where the command has writers of its own.
func Launch(cmd *exec.Cmd) (*Process, error) {
	p := &Process{Command: cmd, Ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &p.Stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &p.Stderr
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	go func() {
		defer close(p.Ended)
		_ = cmd.Wait() // ProcessState has the exit code
	}()
	return p, nil
}

// Await returns nil once ok returns true, which it tries every 10 ms. It returns an
// error if the process or ctx ends first.
func (p *Process) Await(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-p.Ended:
			return fmt.Errorf("%s ended: %s", filepath.Base(p.Command.Path), strings.TrimSpace(p.Stderr.String()))
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", filepath.Base(p.Command.Path), context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// GoTool runs the go command in a folder, without cgo, and returns what it prints.
func GoTool(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the caller's own arguments
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// SourceRoot returns the folder of the wxsidecar module.
func SourceRoot(ctx context.Context) (string, error) {
	root, err := GoTool(ctx, "", "list", "-m", "-f", "{{.Dir}}", "github.com/wxsidecar/wxsidecar")
	return strings.TrimSpace(root), err
}
