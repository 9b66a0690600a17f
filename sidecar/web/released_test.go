package web_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// The metrics are those of the last release, with their types and labels, or more. It reads
// the golden file, which TestMetrics_Golden compares.
func TestReleased_Metrics(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "metrics.golden"))
	require.NoError(t, err)
	var lines []string
	value := regexp.MustCompile(`="(\\.|[^"\\])*"`)
	for line := range strings.Lines(string(text)) {
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			lines = append(lines, "type "+strings.TrimSpace(kind))
		} else if strings.HasPrefix(line, "wxsidecar_") {
			line = value.ReplaceAllString(line, "")
			lines = append(lines, line[:strings.LastIndexByte(line, ' ')])
		}
	}
	programtest.AssertReleased(t, filepath.Join("..", ".."), "metrics", lines)
}

// The JSON of the API and of status.json has the fields of the last release. It reads the
// golden files, which other tests compare.
func TestReleased_Fields(t *testing.T) {
	t.Parallel()
	field := regexp.MustCompile(`"([A-Za-z_]+)":`)
	var lines []string
	for _, name := range []string{"answers", "compat", "login", "status"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
		require.NoError(t, err)
		for _, found := range field.FindAllStringSubmatch(string(text), -1) {
			lines = append(lines, name+" "+found[1])
		}
	}
	programtest.AssertReleased(t, filepath.Join("..", ".."), "fields", lines)
}

// The routes of the last release are there, with their methods.
func TestReleased_Routes(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(filepath.Join("..", "..", "docs", "released", "routes.txt"))
	require.NoError(t, err)
	h := newTestSidecar(t, nil, appID)
	listeners := map[string]http.Handler{"api": h.logins(t, ""), "ops": h.ops()}
	gone := regexp.MustCompile(`no such route|does not serve this route|method not allowed|(GET|POST) required`)
	var served []string
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSuffix(line, "\n")
		words := strings.Split(line, " ")
		require.Len(t, words, 3, "listener, method, path")
		dial := serve(t, listeners[words[0]], "127.0.0.1:0")
		got := ask{method: words[1], target: strings.Replace(words[2], "{appid}", appID, 1)}.over(t, dial)
		if !gone.MatchString(got.body) {
			served = append(served, line)
		}
	}
	assert.NotEmpty(t, served)
	programtest.AssertReleased(t, filepath.Join("..", ".."), "routes", served)
}
