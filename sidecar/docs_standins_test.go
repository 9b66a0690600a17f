package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// elsewhere are the programs that a document's reader has and this test has not:
// a cluster, an engine, root. A stand-in takes their place, which notes how it is
// called; what is checked of a call, and who runs the like for real:
var elsewhere = map[string]struct {
	check func(t *testing.T, args []string)
	runBy string // a file that holds it
}{
	"kubectl":    {checkKubectl, "k8s/e2e/cluster_test.go"},            // make test-cluster
	"docker":     {checkDocker, "k8s/compose_run_test.go"},             // make k8s; images: k8s/e2e/images.sh
	"make":       {checkMake, ".ci/run"},                               // CI
	"git":        {checkGit, "go.mod"},                                 // which has the address
	"systemctl":  {checkSystemctl, "sidecar/systemd_test.go"},          // the unit's command line is run there
	"journalctl": {checkJournalctl, "sidecar/systemd_test.go"},         //
	"chown":      {func(*testing.T, []string) {}, "docs/compose.yaml"}, // root's
	"images.sh":  {func(*testing.T, []string) {}, "k8s/e2e/images.sh"},
}

// standIns is a folder for PATH.
type standIns struct{ dir, calls string }

// noting is a stand-in's program: a line per call, its words parted by \037, in
// one write, since two of them may stand in one pipe.
const noting = `#!/bin/sh
parted=$(printf '\037') line=${0##*/}
for word; do line=$line$parted$word; done
printf '%s\n' "$line" >>CALLS
`

// asIf runs what sudo is given, as whoever runs the test.
const asIf = `#!/bin/sh
[ "$1" != -u ] || shift 2
exec "$@"
`

// cloned is where `git clone` leads to: a terminal stands in a clone already.
const cloned = `ln -s . "${2##*/}"` + "\n"

// goTool notes `go test`, which would run this test within itself, and `go env -w`,
// which would set something for whoever runs it; it is go for everything else.
const goTool = "#!/bin/sh\ncase \"$1 $2\" in 'test '* | 'env -w') ;; *) exec GO \"$@\" ;; esac\n" + noting

func newStandIns(t *testing.T, dir string) *standIns {
	t.Helper()
	s := &standIns{filepath.Join(dir, "stand-ins"), filepath.Join(dir, "calls")}
	tool, err := exec.LookPath("go")
	require.NoError(t, err)
	words := strings.NewReplacer("CALLS", s.calls, "GO", tool)
	programs := map[string]string{"sudo": asIf, "go": goTool}
	for name := range elsewhere {
		programs[name] = noting
	}
	programs["git"] += cloned
	for name, text := range programs {
		require.NoError(t, os.Chmod(writeFile(t, filepath.Join(s.dir, name), words.Replace(text)), 0o755))
	}
	require.NoError(t, os.Symlink(binary(t), filepath.Join(s.dir, "sidecar")))
	return s
}

// check holds all calls so far against what is there.
func (s *standIns) check(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(s.calls)
	if os.IsNotExist(err) {
		return
	}
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\037")
		if words[0] == "go" {
			checkGo(t, words[1:])
			continue
		}
		one := elsewhere[words[0]]
		_, err := os.Stat(filepath.Join(root, one.runBy))
		require.NoError(t, err, "what runs %s for real", words[0])
		one.check(t, words[1:])
	}
	require.NoError(t, os.Remove(s.calls))
}

// flagged takes the flags that have a value out of a command line.
func flagged(args []string, withValue ...string) (rest []string, values map[string][]string) {
	values = map[string][]string{}
	for i := 0; i < len(args); i++ {
		name, value, has := strings.Cut(args[i], "=")
		switch {
		case args[i] == "--":
			return append(rest, args[i:]...), values
		case has && slices.Contains(withValue, name):
			values[name] = append(values[name], value)
		case slices.Contains(withValue, args[i]) && i+1 < len(args):
			values[args[i]] = append(values[args[i]], args[i+1])
			i++
		default:
			rest = append(rest, args[i])
		}
	}
	return rest, values
}

// kubectlVerbs is what the documents use of kubectl: the rest of each command
// line, once -n, -c, -k, -f and what has a value are out of it.
var kubectlVerbs = map[string]string{
	"create":       `^(namespace [a-z]+|secret generic (wechat-accounts|wxsidecar-bearer))$`,
	"apply":        `^$`,
	"logs":         `^(-f )?deployment/[a-z-]+$`,
	"exec":         `^deployment/[a-z-]+ -- /sidecar status$`,
	"port-forward": `^(deployment/[a-z-]+ 7201|service/memcached 11211)$`,
	"rollout":      `^(status|restart) deployment/[a-z-]+$`,
}

func checkKubectl(t *testing.T, args []string) {
	t.Helper()
	line := strings.Join(args, " ")
	withValue := []string{"-n", "-c", "-k", "--from-file", "--from-literal", "--dry-run", "-o", "--timeout"}
	if args[0] == "apply" {
		withValue = append(withValue, "-f") // of logs it has none
	}
	rest, values := flagged(args[1:], withValue...)
	require.Contains(t, kubectlVerbs, args[0], line)
	assert.Regexp(t, kubectlVerbs[args[0]], strings.Join(rest, " "), line)
	for _, folder := range values["-k"] {
		assert.FileExists(t, filepath.Join(root, folder, "kustomization.yaml"), line)
	}
	if args[0] == "apply" {
		assert.Len(t, append(values["-k"], values["-f"]...), 1, line)
	}
	for _, word := range rest {
		name, ok := strings.CutPrefix(word, "deployment/")
		if !ok {
			continue
		}
		manifest := fileText(t, filepath.Join(root, "k8s", name, "deployment.yaml"))
		assert.Contains(t, manifest, "\n  name: "+name+"\n", line)
		for _, container := range values["-c"] {
			assert.Contains(t, manifest, "- name: "+container+"\n", line)
		}
	}
}

func checkDocker(t *testing.T, args []string) {
	t.Helper()
	line := strings.Join(args, " ")
	switch args[0] {
	case "build":
		rest, _ := flagged(args[1:], "-t", "-o")
		require.Len(t, rest, 1, line)
		assert.FileExists(t, filepath.Join(root, rest[0], "Dockerfile"), line)
	case "compose":
		rest, values := flagged(args[1:], "-f")
		var services string
		for _, file := range values["-f"] {
			services += fileText(t, filepath.Join(root, file))
		}
		require.NotEmpty(t, rest, line)
		switch rest[0] {
		case "up":
			assert.Equal(t, []string{"up", "-d"}, rest, line)
		case "logs", "restart", "exec":
			if services == "" { // as a phrase of the prose
				services = document(t, "docs/compose.yaml")
			}
			assert.Regexp(t, `(?m)^  `+regexp.QuoteMeta(rest[1])+`:$`, services, line)
		default:
			assert.Fail(t, "the test does not know docker compose "+rest[0])
		}
	default:
		assert.Fail(t, "the test does not know docker "+args[0])
	}
}

func checkMake(t *testing.T, args []string) {
	t.Helper()
	makefile := document(t, "Makefile")
	assert.Regexp(t, `(?m)^`+args[0]+`:`, makefile)
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		assert.Regexp(t, `(?m)^`+name+` +\?=`, makefile, arg)
		rest, values := flagged(strings.Fields(value), "--build-arg")
		assert.Empty(t, rest, arg)
		for _, given := range values["--build-arg"] {
			name, _, _ := strings.Cut(given, "=")
			assert.Regexp(t, `(?m)^ARG `+name+`(=|$)`, document(t, "Dockerfile"), arg)
		}
	}
}

func checkGit(t *testing.T, args []string) {
	t.Helper()
	address, ok := strings.CutPrefix(strings.Join(args, " "), "clone https://")
	require.True(t, ok, args)
	assert.Contains(t, document(t, "go.mod"), "module "+address+"\n")
}

func checkSystemctl(t *testing.T, args []string) {
	t.Helper()
	assert.Contains(t, []string{"daemon-reload", "enable --now wxsidecar", "restart wxsidecar"}, strings.Join(args, " "))
	assert.FileExists(t, filepath.Join(root, "docs", "wxsidecar.service"))
}

func checkJournalctl(t *testing.T, args []string) {
	t.Helper()
	assert.Equal(t, []string{"-u", "wxsidecar"}, args[:2])
}

func checkGo(t *testing.T, args []string) {
	t.Helper()
	if args[0] == "env" {
		assert.Regexp(t, `^GOPROXY=https://[a-z.]+,direct$`, strings.Join(args[2:], " "))
		return
	}
	checkGoTest(t, args)
}

// checkGoTest: such a test is there, with its flags. `make test` runs them all.
func checkGoTest(t *testing.T, args []string) {
	t.Helper()
	line := strings.Join(args, " ")
	rest, values := flagged(args[1:], "-run", "-timeout", "-tags", "-fuzz", "-fuzztime")
	require.NotEmpty(t, rest, line)
	files, err := filepath.Glob(filepath.Join(root, rest[0], "*_test.go"))
	require.NoError(t, err)
	var source strings.Builder
	for _, file := range files {
		source.WriteString(fileText(t, file))
	}
	// assert.Regexp would print the sources, and the secrets that tests plant.
	has := func(pattern string) bool { return regexp.MustCompile(pattern).MatchString(source.String()) }
	for _, name := range values["-run"] {
		if name != "^$" { // no test, but a fuzz target
			assert.True(t, has(`func `+regexp.QuoteMeta(name)+`\w*\(t \*testing\.T\)`), line)
		}
	}
	for _, name := range values["-fuzz"] {
		assert.True(t, has(`func `+regexp.QuoteMeta(name)+`\(f \*testing\.F\)`), line)
	}
	for _, flag := range rest[1:] {
		name, _, _ := strings.Cut(strings.TrimPrefix(flag, "-"), "=")
		if strings.Contains(name, ".") { // the test's own
			assert.True(t, has(`"`+regexp.QuoteMeta(name)+`"`), line)
		}
	}
}
