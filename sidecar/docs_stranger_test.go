package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
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
	var quick string
	for _, b := range blocks(document(t, "README.zh-CN.md")) {
		if strings.HasPrefix(b.text, "go build") {
			quick = b.text
		}
	}
	require.NotEmpty(t, quick)
	x := newTerminal(t)
	x.block(t, quick)
	assert.Equal(t, 1, x.wechat.Calls("", ""), "one call, whatever was asked")
	screen := x.transcript.String()
	programtest.AssertNoCanary(t, screen)
	screen = asPublished(screen, hostname())
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		text := document(t, name)
		places := published.FindAllStringSubmatchIndex(text, -1)
		require.Len(t, places, 1, "%s has one transcript", name)
		at := places[0]
		if *writeTranscript {
			require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text[:at[2]]+screen+text[at[3]:]), 0o600))
			continue
		}
		assert.Equal(t, screen, text[at[2]:at[3]], "%s: see -docs.transcript", name)
	}
}

// published is the transcript in a README.
var published = regexp.MustCompile("(?ms)^```text\n(\\$ go build.*?)^```$")
