//go:build bill

package main

import (
	"compress/gzip"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// weight is the size of a file in MB, as it is and compressed.
type weight struct{ plain, packed float64 }

func weigh(t *testing.T, path string) weight {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	var packed counted
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	require.NoError(t, err)
	n, err := io.Copy(zip, f)
	require.NoError(t, err)
	require.NoError(t, zip.Close()) // writes the rest
	return weight{float64(n) / 1e6, float64(packed) / 1e6}
}

// counted counts what is written.
type counted int

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	*c += counted(len(p))
	return len(p), nil
}
