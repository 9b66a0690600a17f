package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// root is where the README stands, from here.
const root = ".."

func readme(t *testing.T) string {
	t.Helper()
	return fileText(t, filepath.Join(root, "README.md"))
}

func fileText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// block is the README's only block of code in this language that begins so.
func block(t *testing.T, language, begin string) string {
	t.Helper()
	found := regexp.MustCompile("(?ms)^```"+language+"\n("+begin+".*?)^```$").FindAllStringSubmatch(readme(t), -1)
	require.Len(t, found, 1, "blocks of %s in the README", language)
	return found[0][1]
}

// tableRows are the rows of the README's table that has this head.
func tableRows(t *testing.T, head string) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(readme(t), "\n"+head+"\n")
	require.True(t, ok, "the README has no table with the head %s", head)
	var rows [][]string
	for line := range strings.SplitSeq(rest, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	require.NotEmpty(t, rows)
	return rows[1:] // the first is the line under the head
}

func TestTheREADMEsTableOfVariablesIsTheProgramsOwn(t *testing.T) {
	t.Parallel()
	var want [][]string
	for _, v := range variables() {
		standard := ""
		if v.standard != "" {
			standard = "`" + v.standard + "`"
		}
		want = append(want, []string{"`" + v.name + "`", standard, v.meaning})
	}
	assert.Equal(t, want, tableRows(t, "| variable | default | meaning |"))
}

func TestTheREADMENamesOnlyErrcodesThatTheSidecarKnows(t *testing.T) {
	t.Parallel()
	for _, row := range tableRows(t, "| errcode | meaning | what to do | tried again |") {
		for text := range strings.SplitSeq(row[0], ", ") {
			code, err := strconv.Atoi(text)
			require.NoError(t, err)
			assert.NotContains(t, wechat.Hint(code, ""), "look up", text)
		}
	}
}

// pathInText is a path of this repository, wherever it stands: in a command, a
// link or a sentence. What it begins with tells it from an import path or a URL.
var pathInText = regexp.MustCompile(`(?:^|[\s"'(\x60\[]|\./)((?:sidecar|memcache|client|k8s|bench|\.ci)/[A-Za-z0-9_./-]*)`)

func TestEveryPathThatTheREADMENamesIsThere(t *testing.T) {
	t.Parallel()
	text := readme(t)
	var paths []string
	for _, found := range pathInText.FindAllStringSubmatch(text, -1) {
		paths = append(paths, strings.TrimRight(found[1], "."))
	}
	require.NotEmpty(t, paths)
	prose := regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]*`").ReplaceAllString(text, "")
	for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(prose, -1) {
		if !strings.Contains(link[1], "://") && !strings.HasPrefix(link[1], "#") {
			paths = append(paths, link[1])
		}
	}
	for _, path := range paths {
		_, err := os.Stat(filepath.Join(root, path))
		assert.NoError(t, err, "the README names %s", path)
	}
}

func TestEveryTargetThatTheREADMENamesIsInTheMakefile(t *testing.T) {
	t.Parallel()
	makefile := fileText(t, filepath.Join(root, "Makefile"))
	named := regexp.MustCompile("(?m)(?:^|`)make ([a-z0-9-]+)").FindAllStringSubmatch(readme(t), -1)
	require.NotEmpty(t, named)
	for _, target := range named {
		assert.Regexp(t, `(?m)^`+target[1]+`:`, makefile, "make %s", target[1])
	}
}

func TestEveryCommandThatTheREADMENamesIsThere(t *testing.T) {
	t.Parallel()
	known := []string{"help"}
	for _, c := range commands {
		known = append(known, c.name)
	}
	named := regexp.MustCompile("(?m)(?:`sidecar|bin/sidecar|go run \\./sidecar) ([a-z]+)").FindAllStringSubmatch(readme(t), -1)
	require.NotEmpty(t, named)
	for _, command := range named {
		assert.Contains(t, known, command[1])
	}
}

// testInText is a test, and what else of the command line belongs to it.
var testInText = regexp.MustCompile(`go test \./(\S+) -run (Test\w+)([^\n#]*)`)

func TestEveryTestThatTheREADMENamesIsThereWithItsFlags(t *testing.T) {
	t.Parallel()
	commands := testInText.FindAllStringSubmatch(readme(t), -1)
	require.NotEmpty(t, commands)
	for _, c := range commands {
		files, err := filepath.Glob(filepath.Join(root, c[1], "*_test.go"))
		require.NoError(t, err)
		var source strings.Builder
		for _, file := range files {
			source.WriteString(fileText(t, file))
		}
		assert.Contains(t, source.String(), "func "+c[2]+"(t *testing.T)")
		for _, name := range regexp.MustCompile(`-(sim\.[a-z-]+)`).FindAllStringSubmatch(c[3], -1) {
			assert.Contains(t, source.String(), `"`+name[1]+`"`, c[0])
		}
	}
}

func TestTheREADMEsGoCompiles(t *testing.T) {
	t.Parallel()
	source := "package main\n\nimport (\n\t\"context\"\n\n\t\"github.com/wxsidecar/wxsidecar/client\"\n)\n\n" +
		"func main() { _ = use(context.Background()) }\n\nfunc use(ctx context.Context) error {\n" + block(t, "go", "") +
		"\t_ = token\n\treturn err\n}\n"
	file := writeFile(t, filepath.Join(t.TempDir(), "main.go"), source)
	out, err := exec.Command("go", "vet", file).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

func TestTheREADMENamesNoVariableThatIsUnknown(t *testing.T) {
	t.Parallel()
	known := slices.Clone(theirs)
	for _, v := range variables() {
		known = append(known, v.name)
	}
	for _, name := range regexp.MustCompile(`\b(?:WECHAT|MEMCACHED|SIDECAR)_[A-Z_]+\b`).FindAllString(readme(t), -1) {
		assert.Contains(t, known, name)
	}
}
