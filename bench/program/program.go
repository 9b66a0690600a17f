// Package program has what the benchmarks share: a main function, programs that
// are built and started for one run, a real memcached, and Markdown tables.
package program

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Main runs a benchmark until it ends or a signal comes, and exits: with 2 after
// -help, with 1 after an error.
func Main(name string, run func(ctx context.Context, args []string, stdout, stderr io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// LinkerFlags are those of the image, without the version.
const LinkerFlags = "-s -w"

// Build builds the sidecar, and packages of the module of the working directory,
// into a folder with the flags of the image. A program is named after its package.
func Build(ctx context.Context, folder string, packages ...string) error {
	root, err := Go(ctx, "list", "-m", "-f", "{{.Dir}}", "github.com/wxsidecar/wxsidecar")
	if err != nil {
		return err
	}
	for i, one := range append([]string{"./sidecar"}, packages...) {
		args := []string{"build", "-trimpath", "-ldflags", LinkerFlags, "-o", filepath.Join(folder, filepath.Base(one)), one}
		if i == 0 {
			args = append([]string{"build", "-C", root}, args[1:]...)
		}
		if _, err := Go(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// Go runs the go tool and returns what it prints.
func Go(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // our own arguments
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// Sleep waits. If ctx ends first, it returns the cause.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
