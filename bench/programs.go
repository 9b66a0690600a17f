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

// programs are the paths of what was built for this run.
type programs struct {
	sidecar string
	floor   string // net/http alone
	fetch   string // net/http and one call over https
	poll    string // the polls of a sidecar, and nothing else
}

// linkerFlags are those of the image, but for the version.
const linkerFlags = "-s -w"

// build builds all of them with the same flags, those of the image.
func build(ctx context.Context, dir string) (programs, error) {
	root, err := goTool(ctx, "", "list", "-m", "-f", "{{.Dir}}", "github.com/wxsidecar/wxsidecar")
	if err != nil {
		return programs{}, err
	}
	built := programs{
		sidecar: filepath.Join(dir, "sidecar"), floor: filepath.Join(dir, "floor"), fetch: filepath.Join(dir, "fetch"),
		poll: filepath.Join(dir, "poll"),
	}
	for _, one := range []struct{ folder, target, source string }{
		{strings.TrimSpace(root), built.sidecar, "./sidecar"},
		{"", built.floor, "github.com/wxsidecar/wxsidecar/bench/floor"},
		{"", built.fetch, "github.com/wxsidecar/wxsidecar/bench/fetch"},
		{"", built.poll, "github.com/wxsidecar/wxsidecar/bench/poll"},
	} {
		_, err := goTool(ctx, one.folder, "build", "-trimpath", "-ldflags", linkerFlags, "-o", one.target, one.source)
		if err != nil {
			return programs{}, err
		}
	}
	return built, nil
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
	return string(out), nil
}
