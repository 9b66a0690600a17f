package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patient sidecars and clients do not take a busy machine for a memcached that is
// out of order.
var patient = []string{"MEMCACHED_TIMEOUT=2s"}

// What all fleets of the tests are made of.
var (
	built     programs
	addresses *loopback
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "peers")
	if err == nil {
		built, err = build(context.Background(), dir)
	}
	if err == nil {
		addresses, err = claimLoopback(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare the tests:", err)
		os.Exit(1)
	}
	code := m.Run()
	addresses.release()
	_ = os.RemoveAll(dir) // in the system's folder for what is temporary
	os.Exit(code)
}

// TestTheBooksAddUp runs two pods of each contestant that tells something about
// the books, with real PHP, memcached and sidecars. What is asserted follows from
// the rules of each, whatever the machine does meanwhile.
func TestTheBooksAddUp(t *testing.T) {
	t.Parallel()
	const pods = 2
	b := bench{programs: built, loopback: addresses, workers: 2, environ: patient, window: 600 * time.Millisecond, later: 200 * time.Millisecond}
	everyAsk := func(f figures) int { return f.Given + f.Errors }
	for _, tt := range []struct {
		name  string
		check func(t *testing.T, seen [situations]figures)
	}{
		{"PHP class (rebuilt)", func(t *testing.T, seen [situations]figures) {
			t.Helper()
			assert.Positive(t, seen[coldStart].Calls)
			assert.Equal(t, everyAsk(seen[memcachedDown]), seen[memcachedDown].Calls, "each ask fetches")
			assert.Zero(t, seen[rejectedToken].Calls)
			assert.Equal(t, seen[rejectedToken].Given, seen[rejectedToken].Dead, "nobody can report it")
		}},
		{"silenceper/wechat", func(t *testing.T, seen [situations]figures) {
			t.Helper()
			assert.Equal(t, seen[memcachedDown].Errors, seen[memcachedDown].Calls, "each ask fetches, and fails")
			assert.Zero(t, seen[memcachedDown].Given)
		}},
		{"bare stable_token", func(t *testing.T, seen [situations]figures) {
			t.Helper()
			assert.Equal(t, pods, seen[coldStart].Calls)
			assert.Zero(t, seen[coldStart].Dead+seen[memcachedRestarted].Dead+seen[memcachedDown].Dead)
			assert.Zero(t, seen[memcachedRestarted].Calls+seen[memcachedDown].Calls, "it has none")
			assert.Equal(t, pods, seen[rejectedToken].Calls)
		}},
		{"wxsidecar, token", func(t *testing.T, seen [situations]figures) { t.Helper(); checkOurs(t, seen, pods*b.workers) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := newFleet(t.Context(), b, named(t, tt.name), pods)
			require.NoError(t, err)
			defer f.end()
			seen, err := f.hour(t.Context())
			require.NoError(t, err)
			for s := range situations {
				if s != renewal {
					assert.Positive(t, everyAsk(seen[s]), situationNames[s])
					assert.LessOrEqual(t, seen[s].Dead, seen[s].Given, situationNames[s])
					assert.Positive(t, seen[s].Worst, situationNames[s])
				}
			}
			tt.check(t, seen)
			written := 0
			for _, calls := range f.wechat.book {
				written += calls
			}
			assert.Equal(t, f.wechat.Calls(appID, ""), written, "no call is missing from the pages, none counts twice")
		})
	}
}

func checkOurs(t *testing.T, seen [situations]figures, workers int) {
	t.Helper()
	calls, bad := 0, 0
	for s := range situations {
		calls += seen[s].Calls
		bad += seen[s].Errors
		if s != rejectedToken {
			bad += seen[s].Dead
		}
	}
	assert.Equal(t, 2, calls, "the first token, and one for the rejected")
	assert.Zero(t, bad)
	assert.LessOrEqual(t, seen[rejectedToken].Dead, workers, "each worker learns of it once")
	assert.Positive(t, seen[rejectedToken].Dead)
}

func named(t *testing.T, name string) contestant {
	t.Helper()
	for _, c := range contestants {
		if c.name == name {
			return c
		}
	}
	require.Fail(t, "no such contestant", name)
	return contestant{}
}

// TestARenewalIsTheContestantsOwn: one that keeps time in memcached, and one that
// keeps it himself.
func TestARenewalIsTheContestantsOwn(t *testing.T) {
	t.Parallel()
	b := bench{programs: built, loopback: addresses, workers: 1, environ: patient, window: 600 * time.Millisecond, later: 200 * time.Millisecond}
	for _, name := range []string{"PHP class (rebuilt)", "wxsidecar, token"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := newFleet(t.Context(), b, named(t, name), 1)
			require.NoError(t, err)
			defer f.end()
			var on stage
			on.Lock()
			defer on.Unlock()
			seen, err := f.renew(t.Context(), &on)
			require.NoError(t, err)
			assert.Equal(t, 1, seen.Calls)
			assert.Zero(t, seen.Dead+seen.Errors)
		})
	}
}

// TestTheDocumentsAreThoseOfOneRun: docs/measured.md shows the summary of docs/peers.md.
func TestTheDocumentsAreThoseOfOneRun(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/peers.md")
	require.NoError(t, err)
	measured, err := os.ReadFile("../../docs/measured.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "All five together")
	require.True(t, found)
	rows := 0
	for line := range strings.Lines(rest) {
		for _, c := range contestants {
			if strings.HasPrefix(line, "| "+c.name+" |") {
				rows++
				assert.Contains(t, string(measured), line, "the table that make bench-peers prints belongs into docs/measured.md")
			}
		}
	}
	assert.Equal(t, len(contestants), rows)
	picture, err := os.ReadFile("../../docs/peers.svg")
	require.NoError(t, err)
	for _, c := range contestants {
		assertDrawn(t, picture, c.name)
	}
	chinese, err := os.ReadFile("../../docs/peers.zh-CN.svg")
	require.NoError(t, err)
	assert.True(t, bytes.Equal(inChinese(picture), chinese), "docs/peers.zh-CN.svg is another picture than docs/peers.svg")
}

// TestAllWordsOfTheChartAreTranslated: what is left in English is names.
func TestAllWordsOfTheChartAreTranslated(t *testing.T) {
	t.Parallel()
	picture, err := os.ReadFile("../../docs/peers.zh-CN.svg")
	require.NoError(t, err)
	texts := textElement.FindAllSubmatch(picture, -1)
	require.Greater(t, len(texts), len(contestants))
	for _, text := range texts {
		assert.Regexp(t, `\p{Han}|，|^[\d ,./%]+$|^(silenceper|chanxuehong)/wechat$|^wxsidecar$`, string(text[7]))
	}
}

// assertDrawn looks for a whole text, without printing the picture.
func assertDrawn(t *testing.T, svg []byte, text string) {
	t.Helper()
	assert.True(t, bytes.Contains(svg, []byte(">"+text+"<")), text)
}

func TestFiguresAreKeptAndDrawn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newResult([]int{1, 4, 16}, 4)
	r.Figures["PHP class (rebuilt)"][16][memcachedDown] = figures{Calls: 1234, tally: tally{Given: 2000, Dead: 1999, Errors: 0, Worst: 1_540_000}}
	path := filepath.Join(dir, "figures.json")
	require.NoError(t, r.keep(path))
	var stdout bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-draw", path, "-docs", dir}, &stdout, &stdout))
	assert.Contains(t, stdout.String(), "| PHP class (rebuilt) | 1,234 | 1,999 of 2,000 | 0 | 1.5 s |")
	page, err := os.ReadFile(filepath.Join(dir, "peers.md"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "| PHP class (rebuilt) | 0 · 0 · 1,234 | 0 of 0 · 0 of 0 · 1,999 of 2,000 | 0 · 0 · 0 | 0.0 ms · 0.0 ms · 1.5 s |")
	picture, err := os.ReadFile(filepath.Join(dir, "peers.svg"))
	require.NoError(t, err)
	assertDrawn(t, picture, "0 / 0 / 1,234")
	assertDrawn(t, picture, "99 %")

	delete(r.Figures, "PHP class (rebuilt)")
	require.NoError(t, r.keep(path))
	err = run(t.Context(), []string{"-draw", path}, &stdout, &stdout)
	require.ErrorContains(t, err, "PHP class (rebuilt) with 1 pods")
}

func TestASharePassesForNothingOrAllOnlyWhereItIs(t *testing.T) {
	t.Parallel()
	for want, of := range map[string][2]int{
		"0": {0, 0}, "0.1 %": {1, 100_000}, "0.5 %": {1, 200}, "3 %": {64, 2000}, "99 %": {1999, 2000}, "100 %": {7, 7},
	} {
		assert.Equal(t, want, percent(of[0], of[1]))
	}
}
