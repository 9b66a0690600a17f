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
	assert.Equal(t, want, tableRows(t, "variable", "default", "meaning"))
}

func TestTheREADMENamesOnlyErrcodesThatTheSidecarKnows(t *testing.T) {
	t.Parallel()
	for _, row := range tableRows(t, "errcode", "meaning", "what to do", "tried again") {
		for text := range strings.SplitSeq(row[0], ", ") {
			code, err := strconv.Atoi(text)
			require.NoError(t, err)
			assert.NotContains(t, wechat.Hint(code, ""), "look up", text)
		}
	}
}

// pathInText is a path of this repository, wherever it stands: in a command, a
// link or a sentence. What it begins with tells it from an import path or a URL.
var pathInText = regexp.MustCompile(`(?:^|[\s"'(\x60\[]|\./)((?:sidecar|memcache|client|k8s|bench|docs|\.ci)/[A-Za-z0-9_./-]*)`)

func TestEveryPathThatADocumentNamesIsThere(t *testing.T) {
	t.Parallel()
	inDocuments(t, func(t *testing.T, name, text string) {
		t.Helper()
		for _, found := range pathInText.FindAllStringSubmatch(text, -1) {
			path := strings.TrimRight(found[1], ".")
			if path == "docs/appsecret.txt" {
				continue // made by the command that names it
			}
			_, err := os.Stat(filepath.Join(root, path))
			assert.NoError(t, err, "%s names %s", name, path)
		}
	})
}

func TestEveryLinkOfADocumentLeadsSomewhere(t *testing.T) {
	t.Parallel()
	inDocuments(t, func(t *testing.T, name, text string) {
		t.Helper()
		text = regexp.MustCompile("`[^`\n]*`").ReplaceAllString(prose(text), "")
		links := regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1)
		require.NotEmpty(t, links)
		for _, link := range links {
			if strings.Contains(link[1], "://") {
				continue
			}
			target, anchor, anchored := strings.Cut(link[1], "#")
			file := filepath.Join(filepath.Dir(name), target)
			if target == "" {
				file = name
			}
			_, err := os.Stat(filepath.Join(root, file))
			require.NoError(t, err, "%s names %s", name, link[1])
			if anchored {
				assert.Contains(t, anchors(document(t, file)), anchor, "%s names %s", name, link[1])
			}
		}
	})
}

func TestEveryTargetThatADocumentNamesIsInTheMakefile(t *testing.T) {
	t.Parallel()
	makefile := fileText(t, filepath.Join(root, "Makefile"))
	inDocuments(t, func(t *testing.T, _, text string) {
		t.Helper()
		for _, target := range regexp.MustCompile("(?m)(?:^|`)make ([a-z0-9-]+)").FindAllStringSubmatch(text, -1) {
			assert.Regexp(t, `(?m)^`+target[1]+`:`, makefile, "make %s", target[1])
		}
	})
}

func TestEverySubcommandThatADocumentNamesIsThere(t *testing.T) {
	t.Parallel()
	known := []string{"help"}
	for _, c := range commands {
		known = append(known, c.name)
	}
	inDocuments(t, func(t *testing.T, _, text string) {
		t.Helper()
		for _, command := range regexp.MustCompile("(?m)(?:`sidecar|bin/sidecar|go run \\./sidecar) ([a-z]+)").FindAllStringSubmatch(text, -1) {
			assert.Contains(t, known, command[1])
		}
	})
}

func TestTheREADMEsGoCompiles(t *testing.T) {
	t.Parallel()
	source := "package main\n\nimport (\n\t\"context\"\n\n\t\"github.com/wxsidecar/wxsidecar/client\"\n)\n\n" +
		"func main() { _ = use(context.Background()) }\n\nfunc use(ctx context.Context) error {\n" + block(t, "README.md", "go", "") +
		"\t_ = token\n\treturn err\n}\n"
	vet(t, source)
}

func TestTheRecipesGoCompiles(t *testing.T) {
	t.Parallel()
	for _, b := range blocks(document(t, "docs/recipes.md")) {
		if b.language == "go" {
			vet(t, b.text)
		}
	}
}

func vet(t *testing.T, source string) {
	t.Helper()
	file := writeFile(t, filepath.Join(t.TempDir(), "main.go"), source)
	out, err := exec.Command("go", "vet", file).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

func TestNoDocumentNamesAVariableThatIsUnknown(t *testing.T) {
	t.Parallel()
	known := slices.Clone(theirs)
	for _, v := range variables() {
		known = append(known, v.name)
	}
	inDocuments(t, func(t *testing.T, _, text string) {
		t.Helper()
		for _, name := range regexp.MustCompile(`\b(?:WECHAT|MEMCACHED|SIDECAR|MIRROR)_[A-Z_]+\b`).FindAllString(text, -1) {
			assert.Contains(t, known, name)
		}
	})
}
