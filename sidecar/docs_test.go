package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is where the README stands, from here.
const root = ".."

// The documents, from root. Those of the second list are the first's in Chinese.
var (
	english = []string{"README.md", "docs/recipes.md"}
	chinese = []string{"README.zh-CN.md", "docs/recipes.zh-CN.md"}
	// documents are all pages; the first three have no Chinese.
	documents = append(append([]string{"client/php/README.md", protocolPage, "docs/benchmarks.md"}, english...), chinese...)
)

func fileText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func document(t *testing.T, name string) string {
	t.Helper()
	return fileText(t, filepath.Join(root, name))
}

func readme(t *testing.T) string {
	t.Helper()
	return document(t, "README.md")
}

// inDocuments runs a test for each document.
func inDocuments(t *testing.T, test func(t *testing.T, name, text string)) {
	t.Helper()
	for _, name := range documents {
		t.Run(name, func(t *testing.T) { test(t, name, document(t, name)) })
	}
}

// codeBlock is a fenced block.
type codeBlock struct{ language, text string }

var fenced = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func blocks(text string) []codeBlock {
	var all []codeBlock
	for _, found := range fenced.FindAllStringSubmatch(text, -1) {
		all = append(all, codeBlock{found[1], found[2]})
	}
	return all
}

// prose is a document without its blocks.
func prose(text string) string { return fenced.ReplaceAllString(text, "") }

// spans are the pieces of code within the prose.
func spans(text string) []string {
	var all []string
	for _, found := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(prose(text), -1) {
		all = append(all, strings.ReplaceAll(found[1], "\n", " "))
	}
	return all
}

// block is a document's only block of code in this language that begins so.
func block(t *testing.T, name, language, begin string) string {
	t.Helper()
	var found []string
	for _, b := range blocks(document(t, name)) {
		if b.language == language && strings.HasPrefix(b.text, begin) {
			found = append(found, b.text)
		}
	}
	require.Len(t, found, 1, "blocks of %s in %s that begin with %q", language, name, begin)
	return found[0]
}

// table is a table of a document: its head and its rows, in cells.
type table struct {
	head []string
	rows [][]string
}

func tables(text string) []table {
	var all []table
	var under bool // within one
	for line := range strings.SplitSeq(prose(text), "\n") {
		if !strings.HasPrefix(line, "|") {
			under = false
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			row = append(row, strings.TrimSpace(cell))
		}
		switch last := len(all) - 1; {
		case !under:
			all, under = append(all, table{head: row}), true
		case !strings.HasPrefix(row[0], "---"):
			all[last].rows = append(all[last].rows, row)
		}
	}
	return all
}

// tableRows are the rows of the README's table that has this head.
func tableRows(t *testing.T, head ...string) [][]string {
	t.Helper()
	for _, one := range tables(readme(t)) {
		if strings.Join(one.head, "|") == strings.Join(head, "|") {
			require.NotEmpty(t, one.rows)
			return one.rows
		}
	}
	require.Fail(t, "the README has no table with this head", "%v", head)
	return nil
}
