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
	for _, b := range quickStart(t) {
		x.paste(t, b.text)
	}
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

// quickStart are the blocks of commands before the transcript.
func quickStart(t *testing.T) []codeBlock {
	t.Helper()
	_, text, _ := strings.Cut(document(t, "README.zh-CN.md"), `<a id="quick-start"></a>`)
	text, _, found := strings.Cut(text, "\n<details>\n")
	require.True(t, found)
	return blocks(text)
}

// A terminal without bracketed paste gives the lines of a block one by one to
// whatever reads. So nothing stands behind a command that waits for the AppSecret,
// and nothing that looks around behind the start of what it looks at.
func TestNothingStandsBehindWhatAPastedBlockWaitsFor(t *testing.T) {
	t.Parallel()
	var secrets, starts int
	for _, b := range quickStart(t) {
		lines := commandLines(b.text)
		for i, line := range lines {
			switch {
			case strings.Contains(line, "head -n 1 >"):
				assert.Len(t, lines, 1, b.text)
				secrets++
			case startsASidecar.MatchString(line):
				assert.Equal(t, len(lines)-1, i, b.text)
				starts++
			}
		}
	}
	assert.Equal(t, []int{1, 1}, []int{secrets, starts})
}
