package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAStrangersPathThroughTheChineseREADME goes from nothing to a token in
// memcached by the commands of the quick start alone, and logs what is on the
// screen: go test ./sidecar -run TestAStranger -v. Tokens show as fingerprints.
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
	screen := x.transcript.String()
	assertNoCanary(t, screen)
	assert.Equal(t, 1, x.wechat.Calls("", ""), "one call, whatever was asked")
	t.Log("\n" + screen)
}
