package systemtest

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// codeBlock is a fenced block of a Markdown page.
type codeBlock struct{ language, text string }

var fenced = regexp.MustCompile("(?ms)^```([a-z]*)[^\n]*\n(.*?)^```$")

func codeBlocks(text string) []codeBlock {
	var all []codeBlock
	for _, found := range fenced.FindAllStringSubmatch(text, -1) {
		all = append(all, codeBlock{found[1], found[2]})
	}
	return all
}

// userPages returns the texts of the README and of docs/, the README first.
func userPages(t *testing.T) []string {
	t.Helper()
	files := []string{filepath.Join(root, "README.md")}
	for _, pattern := range []string{"docs/*.md", "docs/install/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		files = append(files, found...)
	}
	var all []string
	for _, file := range files {
		all = append(all, fileText(t, file))
	}
	return all
}

// blockWith returns the first code block of the user's pages that contains a text.
func blockWith(t *testing.T, language, contains string) string {
	t.Helper()
	for _, page := range userPages(t) {
		for _, b := range codeBlocks(page) {
			if b.language == language && strings.Contains(b.text, contains) {
				return b.text
			}
		}
	}
	require.Fail(t, "no such code block", "%s with %q", language, contains)
	return ""
}

// The Go in the user's pages compiles. A block without a package is the body of a
// function that has ctx and returns an error. The programs with an SDK are for client/sdktest.
func TestDocs_GoCompiles(t *testing.T) {
	t.Parallel()
	var blocks []string
	for _, page := range userPages(t) {
		for _, b := range codeBlocks(page) {
			if b.language == "go" && !slices.Contains(blocks, b.text) && !strings.Contains(b.text, "silenceper/wechat/v2") {
				blocks = append(blocks, b.text)
			}
		}
	}
	require.NotEmpty(t, blocks)
	for _, source := range blocks {
		if !strings.Contains(source, "package ") {
			source = "package main\n\nimport (\n\t\"context\"\n\n\t\"github.com/wxsidecar/wxsidecar/client\"\n)\n\n" +
				"func main() { _ = use(context.Background()) }\n\nfunc use(ctx context.Context) error {\n" + source +
				"\t_ = token\n\treturn err\n}\n"
		}
		file := programtest.WriteFile(t, filepath.Join(t.TempDir(), "main.go"), source)
		out, err := exec.Command("go", "vet", file).CombinedOutput()
		assert.NoError(t, err, "%s\n%s", source, out)
	}
}
