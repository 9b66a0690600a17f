package explore

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// script is one story as a text file. It begins with a comment that tells the story.
// Each other line is one step:
//
//	start due                     the situation, one of starts
//	until A request               run as usual until A is about to do this operation
//	stop A
//	for 76s                       time goes on, and the others run
//	resume A
//	WeChat's answer to A is lost  a fault
//	settle                        run until all agree and nothing is left to do
//	expect entry T2               one of expectations, and its value
//	broken: Settles               the promise that is broken in the end, if one is
//
// The operations are those of the printed run: "reads entry record", "add lease", "cas
// record", "incr requests", "delete failures", "request" or "answer". until finds the next
// one that it has not found before.
//
// A fault has the name that the explorer gives it. It happens at an operation that waits:
// the one that the last until has found, if it is possible there.
type script struct {
	file    string
	comment string
	start   start
	lines   []line
	broken  string // the promise that is expected to break; empty: none
}

// line is one that does something.
type line struct {
	number int
	text   string
	do     func(r *runner) error
}

const usage = "start SITUATION, until SIDECAR OPERATION, stop SIDECAR, for DURATION, resume SIDECAR, " +
	"settle, expect NAME VALUE, broken: PROMISE"

// parseScript returns the script in text. Its errors name the file and the line.
func parseScript(file, text string) (*script, error) {
	s := &script{file: file}
	for i, text := range strings.Split(text, "\n") {
		text, comment, commented := strings.Cut(text, "#")
		text = strings.TrimSpace(text)
		if commented && s.start.make == nil {
			s.comment += strings.TrimSpace(comment) + "\n"
		}
		if text == "" {
			continue
		}
		do, err := s.parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", file, i+1, text, err)
		}
		if do != nil {
			s.lines = append(s.lines, line{i + 1, text, do})
		}
	}
	switch {
	case s.comment == "":
		return nil, fmt.Errorf("%s: begin with a comment that tells the story", file)
	case s.start.make == nil:
		return nil, fmt.Errorf("%s: after the comment, a line is needed: start SITUATION", file)
	}
	return s, nil
}

// parse returns what a line does, nil if that is noted in s.
func (s *script) parse(text string) (do func(r *runner) error, err error) {
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "start":
		return nil, s.startAt(rest)
	case "until":
		name, operation, _ := strings.Cut(rest, " ")
		if operation == "" {
			return nil, errors.New("name a sidecar and its operation, such as: until A add lease")
		}
		i, err := sidecarNamed(name)
		return func(r *runner) error { return r.until(r.sidecars[i], operation) }, err
	case "stop":
		i, err := sidecarNamed(rest)
		return func(r *runner) error { return r.stopIt(r.sidecars[i]) }, err
	case "resume":
		i, err := sidecarNamed(rest)
		return func(r *runner) error { return r.resumeIt(r.sidecars[i]) }, err
	case "for":
		d, err := time.ParseDuration(rest)
		return func(r *runner) error { return r.letPass(d) }, err
	case "settle":
		return (*runner).settle, nil
	case "expect":
		name, want, _ := strings.Cut(rest, " ")
		if expectations[name] == nil || want == "" {
			return nil, fmt.Errorf("name a value and what it is; the values: %s", strings.Join(slices.Sorted(maps.Keys(expectations)), ", "))
		}
		return func(r *runner) error { return r.expect(name, want) }, nil
	case "broken:":
		s.broken = rest
		return nil, nil //nolint:nilnil // it is noted
	}
	return func(r *runner) error { return r.fault(text) }, nil
}

func (s *script) startAt(name string) error {
	names := make([]string, len(starts))
	for i, start := range starts {
		if names[i] = start.name; start.name == name {
			s.start = start
			return nil
		}
	}
	return fmt.Errorf("the situations: %s", strings.Join(names, "; "))
}

func sidecarNamed(name string) (int, error) {
	if i := slices.Index([]string{"A", "B"}, name); i >= 0 {
		return i, nil
	}
	return 0, errors.New("a sidecar is A or B")
}

// stories is where the scripts are. Comments and pages name them.
const (
	root    = "../../.."
	stories = "sidecar/keeper/testdata/stories/"
)

// Every story ends as its script says. With -v it is printed.
func TestStories(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, stories, "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			s, err := parseScript(stories+filepath.Base(file), string(text))
			require.NoError(t, err)
			out, err := s.run(t)
			t.Logf("\n%s\n%s", s.comment, out)
			require.NoError(t, err)
		})
	}
}

// The scripts that comments and pages name exist, and each is named.
func TestStories_Named(t *testing.T) {
	var named, exist []string
	name := regexp.MustCompile(stories + `\w+\.txt`)
	for _, folder := range []string{"sidecar/keeper", "memcache", "docs"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if filepath.Ext(path) == ".txt" && strings.HasPrefix(path, filepath.Join(root, stories)) {
				exist = append(exist, stories+filepath.Base(path))
			}
			if strings.HasSuffix(path, "_test.go") || (filepath.Ext(path) != ".go" && filepath.Ext(path) != ".md") {
				return nil
			}
			text, err := os.ReadFile(path)
			named = append(named, name.FindAllString(string(text), -1)...)
			return err
		})
		require.NoError(t, err)
	}
	slices.Sort(named)
	assert.Equal(t, exist, slices.Compact(named))
}

// An error of a script names the file and the line, and what is allowed there.
func TestScript_Errors(t *testing.T) {
	for text, want := range map[string][]string{
		"start due":                             {"x.txt: begin with a comment"},
		"# Story.":                              {"x.txt: after the comment, a line is needed: start SITUATION"},
		"# Story.\nstart hot":                   {"x.txt:2: start hot: the situations: due; cold"},
		"# Story.\nstart due\nuntil C request":  {"x.txt:3: until C request: a sidecar is A or B"},
		"# Story.\nstart due\nuntil A":          {"x.txt:3: until A: name a sidecar and its operation"},
		"# Story.\nstart due\nuntil A add loan": {"x.txt:3: until A add loan: ", "add lease", "cas record"},
		"# Story.\nstart due\nfor long":         {"x.txt:3: for long: "},
		"# Story.\nstart due\nresume A":         {"x.txt:3: resume A: A is not stopped"},
		"# Story.\nstart due\nexpect luck 1":    {"x.txt:3: expect luck 1: ", "entry", "requests"},
		"# Story.\nstart due\nexpect entry T2":  {"x.txt:3: expect entry T2: entry is T1"},
		"# Story.\nstart due\nstop A\nstop A":   {"x.txt:4: stop A: A does not run"},
		"# Story.\nstart due\nstop A\nsettle":   {"x.txt:4: settle: broken: Settles"},

		"# Story.\nstart due\nuntil A request\nhope":   {"x.txt:4: hope: ", "until SIDECAR OPERATION", "A is killed"},
		"# Story.\nstart due\nstop A\nuntil A answer":  {"x.txt:4: until A answer: A is stopped"},
		"# Story.\nstart due\nsettle\nbroken: Settles": {`x.txt: "Settles" was expected to be broken`},
	} {
		s, err := parseScript("x.txt", text)
		if err == nil {
			_, err = s.run(t)
		}
		for _, part := range want {
			require.ErrorContains(t, err, part, text)
		}
	}
	s, err := parseScript("x.txt", "# A stays stopped.\nstart due\nstop A\nsettle\nbroken: Settles")
	require.NoError(t, err)
	_, err = s.run(t)
	require.NoError(t, err, "what is expected to be broken is")
}
