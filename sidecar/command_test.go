package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// The help has every command and every variable.
func TestHelp_ListsEverything(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"help", "-h", "--help"} {
		exit, stdout, stderr := runCLI(t, nil, arg)
		assert.Equal(t, exitFine, exit)
		assert.Empty(t, stderr)
		for _, v := range variables() {
			assert.Contains(t, stdout, "  "+v.name)
			assert.Contains(t, stdout, v.meaning)
		}
		for _, c := range commands {
			assert.Contains(t, stdout, "sidecar "+c.usage)
		}
	}
}

// Each command prints its usage.
func TestHelp_OfEachCommand(t *testing.T) {
	t.Parallel()
	for _, c := range commands {
		exit, stdout, stderr := runCLI(t, nil, c.name, "--help")
		assert.Equal(t, exitFine, exit, c.name)
		assert.Contains(t, stdout, "usage: sidecar "+c.usage)
		assert.Empty(t, stderr)
	}
}

// An unknown option is named, without its value. An unknown command is not: it can be an
// AppSecret in the wrong place.
func TestUsage_NamesTheOption(t *testing.T) {
	t.Parallel()
	for arg, says := range map[string]string{
		"--x":                                  `unknown option "--x"`,
		"-v":                                   `unknown option "-v"`,
		"--secret=canarysecret":                `unknown option "--secret"`,
		"--0123456789abcdef0123456789abcdef":   `unknown option "--[redacted]"`,
		"--\x1b[31m" + strings.Repeat("x", 99): `unknown option "--\x1b[31m`,
		"canarysecret":                         "unknown command;",
	} {
		exit, _, stderr := runCLI(t, good, arg)
		assert.Equal(t, exitBadUsage, exit, arg)
		assert.Contains(t, stderr, "sidecar: "+says)
		assert.Less(t, len(stderr), 100)
		programtest.AssertNoCanary(t, stderr)
	}
}

// Wrong usage ends with exit code 2 and does not quote a value that was typed.
func TestUsage_ErrorsExitWithTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"state"},
		{"status", "now"},
		{"canarysecret"},
		{"--watch"},
		{"run", "now"},
		{"demo", "--for", "soon"},
		{"demo", "--for", "-1s"},
		{"demo", "now"},
		{"token", "wxA", "wxB"},
		{"token", "wx A"},
		{"token", "--follow"},
		{"healthcheck", "now"},
		{"version", "--long"},
	} {
		exit, stdout, stderr := runCLI(t, good, args...)
		assert.Equal(t, exitBadUsage, exit, args)
		assert.Empty(t, stdout, args)
		assert.Contains(t, stderr, "sidecar", args)
		programtest.AssertNoCanary(t, stderr)
	}
}

// The version is one word. The commit and Go's version are behind it.
func TestVersion_NamesTheBuild(t *testing.T) {
	t.Parallel()
	exit, stdout, _ := runCLI(t, nil, "version")
	assert.Equal(t, exitFine, exit)
	assert.Regexp(t, `^sidecar \S+ \(commit (unknown|[0-9a-f]{40}), go\S+\)\n$`, stdout)
}
