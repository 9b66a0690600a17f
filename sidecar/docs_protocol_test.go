package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const protocolPage = "docs/protocol.md"

// Every test that the page names exists. One that is renamed is renamed there too.
func TestProtocolPage_NamesExistingTests(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, pattern := range []string{"sidecar/*_test.go", "sidecar/*/*_test.go", "sidecar/*/*/*_test.go", "memcache/*_test.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, file := range files {
			source.WriteString(fileText(t, file))
		}
	}
	named := regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(document(t, protocolPage), -1)
	require.NotEmpty(t, named)
	for _, name := range named {
		assert.Contains(t, source.String(), "\nfunc "+name+"(t *testing.T)")
	}
}

// The page's tables have every JSON field and every key of the golden files.
func TestProtocolPage_NamesFieldsAndKeys(t *testing.T) {
	t.Parallel()
	var cells []string // the first ones
	for _, one := range tables(document(t, protocolPage)) {
		for _, row := range one.rows {
			cells = append(cells, row[0])
		}
	}
	all := strings.Join(cells, "\n")
	for line := range strings.Lines(document(t, "memcache/testdata/golden/fields.txt")) {
		field, _, _ := strings.Cut(line, " ")
		_, field, _ = strings.Cut(field, ".")
		assert.Contains(t, cells, "`"+field+"`", line)
	}
	for line := range strings.Lines(document(t, "memcache/testdata/golden/keys.txt")) {
		_, suffix, found := strings.Cut(strings.TrimSpace(line), "P:wx1:")
		switch {
		case !found, strings.Contains(suffix, "_ticket"): // the entry, and a ticket's keys, which are the same
		case strings.HasPrefix(suffix, "budget:"), strings.HasPrefix(suffix, "handover:"), strings.HasPrefix(suffix, "requests:"):
			name, _, _ := strings.Cut(suffix, ":")
			assert.Contains(t, all, ":"+name+":", line)
		default:
			assert.Contains(t, all, ":"+suffix+"`", line)
		}
	}
}
