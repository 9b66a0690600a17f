package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// writeTranscript is for whoever has changed what a command prints:
//
//	go test ./sidecar -run TestAStranger -docs.transcript
var writeTranscript = flag.Bool("docs.transcript", false, "write what the quick start prints into both READMEs")

// TestAStrangersPathThroughTheChineseREADME goes from nothing to a token in
// memcached by the commands of the quick start alone. What is on the screen
// stands behind them in both READMEs.
func TestAStrangersPathThroughTheChineseREADME(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.block(t, block(t, "README.zh-CN.md", "sh", "go build"))
	assert.Equal(t, 1, x.wechat.Calls("", ""), "one call, whatever was asked")
	screen := x.transcript.String()
	programtest.AssertNoCanary(t, screen)
	screen = asPublished(screen, hostname())
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		published := block(t, name, "text", "$ go build")
		if *writeTranscript {
			text := strings.Replace(document(t, name), published, screen, 1)
			require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
			continue
		}
		assert.Equal(t, screen, published, "%s: see -docs.transcript", name)
	}
}
