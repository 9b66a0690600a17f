package programtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// AssertReleased asserts that each line of docs/released/name.txt, which a release
// promises to keep, is among these. Further lines are compatible. With
// WXSIDECAR_RELEASE=1 in the environment it writes the file anew, for a release.
func AssertReleased(t *testing.T, root, name string, lines []string) {
	t.Helper()
	file := filepath.Join(root, "docs", "released", name+".txt")
	slices.Sort(lines)
	lines = slices.Compact(lines)
	if os.Getenv("WXSIDECAR_RELEASE") != "" {
		WriteFile(t, file, strings.Join(lines, "\n")+"\n")
	}
	text, err := os.ReadFile(file) //nolint:gosec // the test's own
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); !slices.Contains(lines, line) {
			t.Errorf("%s promises to keep %q, which is gone or has changed: restore it; a new one can stand beside it", file, line)
		}
	}
}
