package web_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/web"
)

// The page of the API, the package comment and the 404 name each action.
func TestRoutes_Documented(t *testing.T) {
	actions := web.Actions()
	require.NotEmpty(t, actions)
	for path, line := range map[string]string{
		"../../docs/api.md": "| `", "doc.go": "//	", "testdata/answers.golden": "no such route",
	} {
		lines := splitLines(text(t, path), line)
		require.NotEmpty(t, lines, path)
		for _, action := range actions {
			assert.Regexp(t, `(/v1/\{appid\}/|, | or )`+action+`\b`, lines, "%s: add the route %s; CONTRIBUTING.md has all places", path, action)
		}
	}
}

// The operations page has a row for each metric.
func TestMetrics_Documented(t *testing.T) {
	rows := splitLines(text(t, "../../docs/operations.md"), "| `wxsidecar_")
	for _, name := range web.FamilyNames() {
		assert.Regexp(t, "`"+name+"[`{]", rows, "add %s to docs/operations.md#metrics", name)
	}
}

// text is what a file of the project holds.
func text(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.FromSlash(path))
	require.NoError(t, err)
	return string(content)
}
