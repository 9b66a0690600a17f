package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// TestImage_HasMeasuredFlags compares the flags of the image, of make build and of
// this bench, so that pods run what is measured.
func TestImage_HasMeasuredFlags(t *testing.T) {
	t.Parallel()
	dockerfile, makefile := text(t, "../Dockerfile"), text(t, "../Makefile")
	assert.Contains(t, dockerfile, `CGO_ENABLED=0 go build -trimpath -ldflags "`+program.LinkerFlags+` -X main.version=${VERSION} -X main.commit=${COMMIT}" -o /out/sidecar ./sidecar`)
	assert.Contains(t, makefile, "\nLDFLAGS  := "+program.LinkerFlags+" -X main.version=$(VERSION) -X main.commit=$(COMMIT)\n")
	assert.Contains(t, makefile, "CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/sidecar ./sidecar")
	assert.Contains(t, dockerfile, "\nFROM scratch\n")
	assert.Equal(t, 3, strings.Count(dockerfile, "\nCOPY --from=build"), "the binary, the certificates and the licenses are all there is in it")
}

// TestMakeImage_UsesEngineThatAnswers skips an engine that does not answer.
func TestMakeImage_UsesEngineThatAnswers(t *testing.T) {
	log := makeImage(t, "exit 1", `case $1 in info) ;; *) echo "asked: $*";; esac`)
	assert.Contains(t, log, "asked: build --build-arg VERSION=v1.2.3 --build-arg COMMIT=0a1b2c -t wxsidecar:dev .")
	assert.NotContains(t, log, "go build")
}

// TestMakeImage_NoEngine builds the binary instead.
func TestMakeImage_NoEngine(t *testing.T) {
	log := makeImage(t, "exit 1", "exit 1")
	assert.Contains(t, log, "neither docker nor podman answers here")
	assert.Regexp(t, `bin/sidecar: \d{7,} bytes, gzip \d{7,} bytes`, log)
}

// makeImage runs make image with stand-ins for both engines.
func makeImage(t *testing.T, docker, podman string) string {
	t.Helper()
	folder := t.TempDir()
	for name, script := range map[string]string{"docker": docker, "podman": podman} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	cmd := exec.CommandContext(t.Context(), "make", "image", "VERSION=v1.2.3", "COMMIT=0a1b2c")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "PATH="+folder+string(filepath.ListSeparator)+os.Getenv("PATH"))
	log, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", log)
	return string(log)
}

func text(t *testing.T, path string) string {
	t.Helper()
	all, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(all)
}
