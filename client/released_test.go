package client_test

import (
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// What the Go packages export is what the last release exported, or more.
func TestReleased_GoAPI(t *testing.T) {
	t.Parallel()
	from := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		file, err := exec.CommandContext(t.Context(), "go", "list", "-export", "-f", "{{.Export}}", path).Output()
		if err != nil {
			return nil, err
		}
		return os.Open(strings.TrimSpace(string(file)))
	})
	var lines []string
	for _, path := range []string{"github.com/wxsidecar/wxsidecar/client", "github.com/wxsidecar/wxsidecar/client/jssdk"} {
		pkg, err := from.Import(path)
		require.NoError(t, err)
		lines = append(lines, exports(pkg)...)
	}
	// The values of Memcached.Hash and Observation.Kind are in packages whose functions are not for apps.
	for path, kind := range map[string]string{"memcache/ring": "Hash", "memcache": "Kind"} {
		pkg, err := from.Import("github.com/wxsidecar/wxsidecar/" + path)
		require.NoError(t, err)
		for _, line := range exports(pkg) {
			if strings.HasPrefix(line, "const ") && strings.Contains(line, " "+pkg.Name()+"."+kind+" = ") {
				lines = append(lines, line)
			}
		}
	}
	programtest.AssertReleased(t, "..", "go", lines)
}

// exports returns a line for each exported name of a package, and for the exported
// fields and methods of its types.
func exports(pkg *types.Package) []string {
	var lines []string
	short := func(p *types.Package) string { return p.Name() }
	add := func(prefix string, o types.Object) {
		if !o.Exported() {
			return
		}
		line := prefix + types.ObjectString(o, short)
		if c, ok := o.(*types.Const); ok {
			line += fmt.Sprint(" = ", c.Val())
		}
		lines = append(lines, line)
	}
	for _, name := range pkg.Scope().Names() {
		o := pkg.Scope().Lookup(name)
		if _, isType := o.(*types.TypeName); !isType || !o.Exported() {
			add("", o)
			continue
		}
		if structure, ok := o.Type().Underlying().(*types.Struct); ok {
			lines = append(lines, "type "+pkg.Name()+"."+name+" struct")
			for field := range structure.Fields() {
				add("type "+pkg.Name()+"."+name+" ", field)
			}
		} else {
			add("", o)
		}
		methods := types.NewMethodSet(types.NewPointer(o.Type()))
		for method := range methods.Methods() {
			add("", method.Obj())
		}
	}
	return lines
}
