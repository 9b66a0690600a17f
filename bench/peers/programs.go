package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are the paths of what a run needs.
type programs struct {
	sidecar, worker string // built for this run
	php             string // worker.php
}

func build(ctx context.Context, dir string) (programs, error) {
	root, err := goTool(ctx, "", "list", "-m", "-f", "{{.Dir}}", "github.com/wxsidecar/wxsidecar")
	if err != nil {
		return programs{}, err
	}
	here, err := goTool(ctx, "", "list", "-m", "-f", "{{.Dir}}", "github.com/wxsidecar/wxsidecar/bench/peers")
	if err != nil {
		return programs{}, err
	}
	p := programs{
		sidecar: filepath.Join(dir, "sidecar"), worker: filepath.Join(dir, "worker"),
		php: filepath.Join(here, "worker", "worker.php"),
	}
	if _, err := goTool(ctx, root, "build", "-trimpath", "-ldflags", "-s -w", "-o", p.sidecar, "./sidecar"); err != nil {
		return programs{}, err
	}
	_, err = goTool(ctx, here, "build", "-trimpath", "-ldflags", "-s -w", "-o", p.worker, "./worker")
	return p, err
}

func goTool(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // our own arguments
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
