package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// image is what make image calls it.
const image = "wxsidecar:dev"

// measureSize weighs the programs, and the image where there is one.
func measureSize(ctx context.Context, r *rig) ([]row, error) {
	ours, oursPacked, err := weigh(r.programs.sidecar)
	if err != nil {
		return nil, err
	}
	floor, floorPacked, err := weigh(r.programs.floor)
	if err != nil {
		return nil, err
	}
	size, note := imageSize(ctx, ours)
	if size == 0 {
		size = ours + float64(len(systemRoots()))
		note += ": the sum of the binary and the CA certificates, which are all there is in it"
	}
	return []row{
		{what: "binary", ours: megabytes(ours), floor: megabytes(floor), ratio: fmt.Sprintf("%.2f", ours/floor)},
		{what: "binary, gzip -9", ours: megabytes(oursPacked), floor: megabytes(floorPacked), ratio: fmt.Sprintf("%.2f", oursPacked/floorPacked)},
		{what: "image", ours: megabytes(size), note: note},
	}, nil
}

// weigh is the bytes of a file, as they are and compressed.
func weigh(path string) (plain, packed float64, err error) {
	f, err := os.Open(path) //nolint:gosec // built here
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	var sum weight
	zip, err := gzip.NewWriterLevel(&sum, gzip.BestCompression)
	if err != nil {
		return 0, 0, err
	}
	n, err := io.Copy(zip, f)
	if err != nil {
		return 0, 0, err
	}
	err = zip.Close() // writes the rest
	return float64(n), float64(sum), err
}

// weight counts what is written.
type weight float64

// Write implements io.Writer.
func (w *weight) Write(p []byte) (int, error) {
	*w += weight(len(p))
	return len(p), nil
}

// imageSize asks the engines for the image; 0 with a reason where there is none.
// One that has less than least bytes is another of this name.
func imageSize(ctx context.Context, least float64) (bytes float64, note string) {
	note = "no engine"
	for _, engine := range []string{"docker", "podman"} {
		if exec.CommandContext(ctx, engine, "info").Run() != nil { //nolint:gosec // one of two
			continue
		}
		note = engine + " has no " + image + " of this source (make image)"
		//nolint:gosec // one of two
		out, err := exec.CommandContext(ctx, engine, "image", "inspect", "--format", "{{.Size}} {{.Created}}", image).Output()
		if err != nil {
			continue
		}
		size, created, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
		if bytes, err = strconv.ParseFloat(size, 64); err == nil && bytes >= least {
			return bytes, fmt.Sprintf("%s, %s of %.16s", engine, image, created)
		}
	}
	return 0, note
}
