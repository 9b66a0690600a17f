package keeper_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	flagBroken      = flag.Bool("broken", false, "take each guard out in turn, and run what catches that")
	flagBrokenSeeds = flag.Int("broken.seeds", 40, "seeds of the simulation for one broken guard, at most")
)

const repository = "../.."

// brokenPatch is a file of testdata/broken: a diff that takes one guard out of the source.
// Its first lines say which rule that breaks, how, and what catches it:
//
//	Rule: 1: the claim is read back.
//	Broken: It counts as written if memcached says so.
//	Caught-by: explore "due" 0,1 "Never invalid"
//	Caught-by: sim "ambushes" "One request"
//	Caught-by: test TestAttack_ClaimsAreLostAtOnce
//	Caught-by: test ../../memcache TestTakeLease_OneOfMany
//
// They name the explorer with a start, a bound and an invariant, or the simulation with
// a kind of episode and an invariant, or a test, of another folder if one is named. One
// line is enough. If there are more, each of them must catch it.
type brokenPatch struct {
	name, rule, broken string
	path               string
	files              []string // that it changes, from the top of the repository
	catchers           [][]string
}

func brokenPatches(t *testing.T) (all []brokenPatch) {
	t.Helper()
	paths, err := filepath.Glob("testdata/broken/*.patch")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	word := regexp.MustCompile(`"[^"]*"|\S+`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		p := brokenPatch{name: strings.TrimSuffix(filepath.Base(path), ".patch"), path: path}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch {
			case strings.HasPrefix(line, "+++ b/"):
				p.files = append(p.files, strings.TrimSpace(line[len("+++ b/"):]))
			case len(p.files) > 0:
			case name == "Rule":
				p.rule = value
			case name == "Broken":
				p.broken = value
			case name == "Caught-by":
				words := word.FindAllString(value, -1)
				for i := range words {
					words[i] = strings.Trim(words[i], `"`)
				}
				p.catchers = append(p.catchers, words)
			}
		}
		require.NotEmpty(t, p.rule, "%s: no line Rule", path)
		require.NotEmpty(t, p.broken, "%s: no line Broken", path)
		require.NotEmpty(t, p.catchers, "%s: no line Caught-by", path)
		require.NotEmpty(t, p.files, "%s: changes no file", path)
		all = append(all, p)
	}
	return all
}

// apply applies the patch to copies of the files that it changes. It returns the path of
// each file and of its copy. An offset is fine; anything else that differs from what the
// patch expects is an error.
func (p brokenPatch) apply(t *testing.T) (map[string]string, error) {
	t.Helper()
	patch, err := filepath.Abs(p.path)
	require.NoError(t, err)
	dir, copies := t.TempDir(), map[string]string{}
	for _, file := range p.files {
		source, err := filepath.Abs(filepath.Join(repository, file))
		require.NoError(t, err)
		text, err := os.ReadFile(source)
		require.NoError(t, err)
		copies[source] = filepath.Join(dir, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(copies[source]), 0o700))
		require.NoError(t, os.WriteFile(copies[source], text, 0o600))
	}
	git := exec.CommandContext(t.Context(), "git", "apply", patch)
	git.Dir = dir
	// In a repository git apply leaves out files of other folders: a hook sets GIT_DIR, and the
	// folder of temporary files can be within a repository.
	git.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
	git.Env = append(git.Env, "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := git.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("git apply %s: %w\n%s", p.path, err, out)
	}
	for source, changed := range copies {
		before, err := os.ReadFile(source)
		require.NoError(t, err)
		after, err := os.ReadFile(changed)
		require.NoError(t, err)
		if bytes.Equal(before, after) {
			return nil, fmt.Errorf("git apply %s: %s is as before", p.path, source)
		}
	}
	return copies, nil
}

// Each guard still stands in the source as its patch expects it, and docs/protocol.md
// says what catches it.
func TestBroken_PatchesApply(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(repository, "docs/protocol.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## Broken on purpose\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|(.*)$").FindAllStringSubmatch(section, -1) {
		rows[row[1]] = row[2]
	}
	for _, p := range brokenPatches(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			_, err := p.apply(t)
			require.NoError(t, err)
			for _, words := range p.catchers {
				what, _, _ := strings.Cut(words[len(words)-1], "/")
				assert.Contains(t, rows[p.name], what, "its row in docs/protocol.md, Broken on purpose")
			}
		})
	}
	for name := range rows {
		assert.FileExists(t, filepath.Join("testdata/broken", name+".patch"), "docs/protocol.md has a row for it")
	}
}

// With each guard taken out, what the patch names fails, and for the reason that it names
// (make broken): a test that passes without a guard does not test it.
func TestBroken_IsCaught(t *testing.T) {
	if !*flagBroken {
		return // a suite of its own: a program for each guard is built and run
	}
	for _, p := range brokenPatches(t) {
		t.Run(p.name, func(t *testing.T) {
			copies, err := p.apply(t)
			require.NoError(t, err)
			index, err := json.Marshal(map[string]any{"Replace": copies})
			require.NoError(t, err)
			overlay := filepath.Join(t.TempDir(), "overlay.json")
			require.NoError(t, os.WriteFile(overlay, index, 0o600))
			for _, words := range p.catchers {
				catch(t, overlay, words)
			}
		})
	}
}

// catch runs what the words of a line Caught-by name.
func catch(t *testing.T, overlay string, words []string) {
	t.Helper()
	what := strings.Join(words, " ")
	switch {
	case words[0] == "explore" && len(words) == 4:
		run := buildBroken(t, overlay, "explore")
		begin := time.Now()
		out, err := run("TestExplore", "-explore.starts="+words[1], "-explore.bounds="+words[2])
		require.Error(t, err, "%s finds nothing:\n%s", what, out)
		require.Contains(t, out, words[3]+": ")
		t.Logf("caught by %s after %s", what, time.Since(begin).Round(100*time.Millisecond))
	case words[0] == "test" && len(words) <= 3:
		test, folder := words[len(words)-1], "."
		if len(words) == 3 {
			folder = words[1]
		}
		run := buildBroken(t, overlay, folder)
		begin := time.Now()
		out, err := run(test)
		require.Error(t, err, "%s passes", what)
		require.Contains(t, out, "--- FAIL: "+test)
		t.Logf("caught by %s after %s", what, time.Since(begin).Round(100*time.Millisecond))
	case words[0] == "sim" && len(words) == 3:
		run := buildBroken(t, overlay, "sim")
		begin := time.Now()
		for seed := 1; seed <= *flagBrokenSeeds; seed++ {
			out, err := run("TestSimulation", fmt.Sprintf("-sim.seed=%d", seed), "-sim.seeds=1", "-sim.hours=24", "-sim.only="+words[1])
			if err == nil {
				continue
			}
			require.Contains(t, out, words[2]+": at", "seed %d", seed)
			t.Logf("caught by %s with seed %d after %s", what, seed, time.Since(begin).Round(100*time.Millisecond))
			return
		}
		require.Fail(t, "not caught", "%s: %d seeds", what, *flagBrokenSeeds)
	default:
		require.Fail(t, "unknown", "Caught-by: %s", what)
	}
}

// buildBroken builds the tests of a folder with the broken files. The function that it
// returns runs one of them. A test that panics, or that does not end, is no catch.
func buildBroken(t *testing.T, overlay, folder string) (run func(test string, args ...string) (string, error)) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "broken.test")
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", program, "./"+folder).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return func(test string, args ...string) (string, error) {
		c := exec.CommandContext(t.Context(), program, append([]string{"-test.run=^" + strings.ReplaceAll(test, "/", "$/^") + "$"}, args...)...)
		c.Dir = folder
		out, err := c.CombinedOutput()
		require.NotRegexp(t, "(?m)^panic: ", string(out))
		return string(out), err
	}
}
