package protocol

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Decisions are functions of their arguments: no file reads a clock, sleeps, draws a
// random number, locks, logs or does I/O.
func TestPackage_HasNoClockAndNoIO(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	checked := 0
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		checked++
		file, err := parser.ParseFile(token.NewFileSet(), entry.Name(), nil, 0)
		require.NoError(t, err)
		for _, one := range file.Imports {
			path, err := strconv.Unquote(one.Path.Value)
			require.NoError(t, err)
			assert.Contains(t, []string{"time", "slices", "github.com/wxsidecar/wxsidecar/memcache"}, path, entry.Name())
		}
		ast.Inspect(file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, ok := selector.X.(*ast.Ident); ok && of.Name == "time" {
				forbidden := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
				assert.False(t, slices.Contains(forbidden, selector.Sel.Name), "%s: time.%s", entry.Name(), selector.Sel.Name)
			}
			return true
		})
	}
	assert.Positive(t, checked)
}
