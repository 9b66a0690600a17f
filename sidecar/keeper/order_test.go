package keeper

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The package comment lists every file, and a function calls functions of its own file
// and of later files only.
func TestFiles_ReadInOrder(t *testing.T) {
	comment, err := os.ReadFile("keeper.go")
	require.NoError(t, err)
	var order []string
	for _, line := range regexp.MustCompile(`(?m)^//\t([a-z]+\.go) `).FindAllStringSubmatch(string(comment), -1) {
		order = append(order, line[1])
	}
	files := token.NewFileSet()
	var parsed []*ast.File
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "_chaos") {
			continue
		}
		assert.Contains(t, order, name, "the list of files")
		file, err := parser.ParseFile(files, name, nil, 0)
		require.NoError(t, err)
		parsed = append(parsed, file)
	}
	assert.Len(t, order, len(parsed), "the list of files")

	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	checker := types.Config{Importer: importer.ForCompiler(files, "source", nil)}
	pkg, err := checker.Check("keeper", files, parsed, info)
	require.NoError(t, err)
	for id, object := range info.Uses {
		if _, ok := object.(*types.Func); !ok || object.Pkg() != pkg {
			continue
		}
		from, to := files.Position(id.Pos()).Filename, files.Position(object.Pos()).Filename
		ticket := from == "ticket.go" && to == "credential.go"
		config := to == "keeper.go" // methods of Config
		assert.True(t, slices.Index(order, from) <= slices.Index(order, to) || ticket || config, "%s calls %s of %s", from, object.Name(), to)
	}
}
