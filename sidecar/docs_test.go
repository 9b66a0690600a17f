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

const (
	// root is the repository's root, from here.
	root = ".."
	// configurationPage is generated:
	//
	//	go test ./sidecar -run TestConfiguration_PageIsCurrent -update
	configurationPage = "docs/configuration.md"
)

var update = flag.Bool("update", false, "write "+configurationPage)

func fileText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(text)
}

// The page is what config.go says. See configurationPage.
func TestConfiguration_PageIsCurrent(t *testing.T) {
	t.Parallel()
	want := markdown()
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(root, configurationPage), []byte(want), 0o644))
	}
	assert.Equal(t, want, fileText(t, configurationPage), "run go test ./sidecar -run TestConfiguration_PageIsCurrent -update")
}

// The variables and their defaults are those of the last release, or more.
func TestReleased_Variables(t *testing.T) {
	t.Parallel()
	var lines []string
	for _, v := range variables() {
		lines = append(lines, v.name+"="+v.defaultValue)
	}
	programtest.AssertReleased(t, root, "variables", lines)
}

// markdown returns the page of all variables.
func markdown() string {
	var page strings.Builder
	page.WriteString(`<!-- Generated from sidecar/config.go: go test ./sidecar -run TestConfiguration_PageIsCurrent -update -->

# Configuration

All settings of ` + "`sidecar run`" + ` are environment variables. If a value is wrong, the program exits with code 2 and lists every error.
The Go client reads ` + "`WECHAT_APPID`, `MEMCACHED_*`, `SIDECAR_AUTH_TOKEN_FILE`, `SIDECAR_CA_FILE` and `SIDECAR_URL`" + ` (` + "`http://127.0.0.1:7200`" + `). ` + "`HTTPS_PROXY`" + ` and
` + "`NO_PROXY`" + ` apply to requests to WeChat over https; an ` + "`HTTPS_PROXY`" + ` that cannot be read is an error too.
`)
	titles := map[string]string{"WECHAT": "WeChat", "MEMCACHED": "memcached", "SIDECAR": "Listeners", "MIRROR": "Mirrors", "LOG": "Logs"}
	last := ""
	for _, v := range variables() {
		prefix, _, _ := strings.Cut(v.name, "_")
		if prefix != last {
			page.WriteString("\n## " + titles[prefix] + "\n\n| variable | default | meaning |\n|---|---|---|\n")
			last = prefix
		}
		value := ""
		if v.defaultValue != "" {
			value = "`" + v.defaultValue + "`"
		}
		page.WriteString("| `" + v.name + "` | " + value + " | " + v.meaning + " |\n")
	}
	return page.String()
}

// pages are all documents that users read, by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "client/php/README.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, file := range files {
			name, err := filepath.Rel(root, file)
			require.NoError(t, err)
			if name != "CHANGELOG.md" { // it names what is gone
				all[name] = fileText(t, name)
			}
		}
	}
	require.NotEmpty(t, all)
	return all
}

// Variables, subcommands and make targets that a document names exist.
func TestDocs_NameOnlyWhatExists(t *testing.T) {
	t.Parallel()
	targets := regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(fileText(t, "Makefile"), -1)
	known := map[string][]string{"variable": clientVariables, "command": {"help"}}
	for _, target := range targets {
		known["target"] = append(known["target"], target[1])
	}
	for _, v := range variables() {
		known["variable"] = append(known["variable"], v.name)
	}
	for _, c := range commands {
		known["command"] = append(known["command"], c.name)
	}
	patterns := map[string]*regexp.Regexp{
		"variable": regexp.MustCompile(`\b((?:WECHAT|MEMCACHED|SIDECAR|MIRROR)_[A-Z_]*[A-Z])\b`),
		"target":   regexp.MustCompile("(?m)(?:^|`)make ([a-z0-9-]+)"),
		"command":  regexp.MustCompile("(?m)(?:`sidecar|bin/sidecar|go run \\./sidecar) ([a-z]+)"),
	}
	for name, text := range pages(t) {
		for kind, pattern := range patterns {
			for _, found := range pattern.FindAllStringSubmatch(text, -1) {
				assert.Contains(t, known[kind], found[1], "%s names the %s", name, kind)
			}
		}
	}
}

const protocolPage = "docs/protocol.md"

// Every test that the protocol's page names exists.
func TestProtocolPage_NamesExistingTests(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, pattern := range []string{"sidecar/*_test.go", "sidecar/*/*_test.go", "sidecar/*/*/*_test.go", "memcache/*_test.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			source.Write(text)
		}
	}
	named := regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(fileText(t, protocolPage), -1)
	require.NotEmpty(t, named)
	for _, name := range named {
		declared := strings.Contains(source.String(), "\nfunc "+name+"(t *testing.T)") // a bool: a failure prints no source
		assert.True(t, declared, name)
	}
}

// The protocol's page has every JSON field and every key of the golden files.
func TestProtocolPage_NamesFieldsAndKeys(t *testing.T) {
	t.Parallel()
	page := fileText(t, protocolPage)
	for line := range strings.Lines(fileText(t, "memcache/testdata/golden/fields.txt")) {
		field, _, _ := strings.Cut(line, " ")
		_, field, _ = strings.Cut(field, ".")
		assert.Contains(t, page, "`"+field+"`", line)
	}
	for line := range strings.Lines(fileText(t, "memcache/testdata/golden/keys.txt")) {
		_, suffix, found := strings.Cut(strings.TrimSpace(line), "P:wx1:")
		name, _, _ := strings.Cut(suffix, ":")
		if found && !strings.Contains(suffix, "_ticket") { // a ticket's keys are the same
			assert.Contains(t, page, ":"+name, line)
		}
	}
}
