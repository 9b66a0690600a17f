package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
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
			assert.Positive(t, seen[coldStart].Requests)
			assert.Equal(t, everyAsk(seen[memcachedDown]), seen[memcachedDown].Requests, "each ask fetches")
			assert.Zero(t, seen[rejectedToken].Requests)
			assert.Equal(t, seen[rejectedToken].Given, seen[rejectedToken].Invalid, "nobody can report it")
		}},
		{"silenceper/wechat", func(t *testing.T, seen [situations]figures) {
			t.Helper()
			assert.Equal(t, seen[memcachedDown].Errors, seen[memcachedDown].Requests, "each ask fetches, and fails")
			assert.Zero(t, seen[memcachedDown].Given)
		}},
		{"bare stable_token", func(t *testing.T, seen [situations]figures) {
			t.Helper()
			assert.Equal(t, pods, seen[coldStart].Requests)
			assert.Zero(t, seen[coldStart].Invalid+seen[memcachedRestarted].Invalid+seen[memcachedDown].Invalid)
			assert.Zero(t, seen[memcachedRestarted].Requests+seen[memcachedDown].Requests, "it has none")
			assert.Equal(t, pods, seen[rejectedToken].Requests)
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
					assert.LessOrEqual(t, seen[s].Invalid, seen[s].Given, situationNames[s])
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
		calls += seen[s].Requests
		bad += seen[s].Errors
		if s != rejectedToken {
			bad += seen[s].Invalid
		}
	}
	assert.Equal(t, 2, calls, "the first token, and one for the rejected")
	assert.Zero(t, bad)
	assert.LessOrEqual(t, seen[rejectedToken].Invalid, workers, "each worker learns of it once")
	assert.Positive(t, seen[rejectedToken].Invalid)
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
			assert.Equal(t, 1, seen.Requests)
			assert.Zero(t, seen.Invalid+seen.Errors)
		})
	}
}

// TestFigures_KeptAndDrawn writes the page and the chart from kept figures.
func TestFigures_KeptAndDrawn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newResult([]int{1, 4, 16}, 4)
	r.Figures["PHP class (rebuilt)"][16][memcachedDown] = figures{Requests: 1234, tally: tally{Given: 2000, Invalid: 1999, Errors: 0, Worst: 1_540_000}}
	path, page := filepath.Join(dir, "figures.json"), filepath.Join(dir, "benchmarks.md")
	require.NoError(t, r.keep(path))
	require.NoError(t, os.WriteFile(page, []byte("before\n"+tablesBegin+"earlier\n"+tablesEnd+"after\n"), 0o600))
	var stdout bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-draw", path, "-docs", dir}, &stdout, &stdout))
	const total = "| PHP class (rebuilt) | 1,234 | 1,999 of 2,000 | 0 | 1.5 s |\n"
	assert.Contains(t, stdout.String(), total)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(text), total)
	assert.Contains(t, string(text), "| memcached down | PHP class (rebuilt) | 0 · 0 · 1,234 | 0 of 0 · 0 of 0 · 1,999 of 2,000 | 0 · 0 · 0 | 0.0 ms · 0.0 ms · 1.5 s |\n")
	assert.Regexp(t, `(?s)^before\n.*\nafter\n$`, string(text))
	assert.NotContains(t, string(text), "earlier")
	picture, err := os.ReadFile(filepath.Join(dir, "benchmarks.svg"))
	require.NoError(t, err)
	for _, drawn := range []string{"0 / 0 / 1,234", "99 %", "wxsidecar, stable_token"} {
		assert.True(t, bytes.Contains(picture, []byte(">"+drawn+"<")), drawn)
	}
	require.NoError(t, xml.Unmarshal(picture, new(struct{})))

	delete(r.Figures, "PHP class (rebuilt)")
	require.NoError(t, r.keep(path))
	require.ErrorContains(t, run(t.Context(), []string{"-draw", path}, &stdout, &stdout), "PHP class (rebuilt) with 1 pods")
}

// TestUpdatePage_WithoutMarkers fails and leaves the page as it is.
func TestUpdatePage_WithoutMarkers(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "benchmarks.md")
	require.NoError(t, os.WriteFile(page, []byte("text\n"+tablesBegin), 0o600))
	require.ErrorContains(t, updatePage(page, newResult([]int{1}, 1)), "to here")
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Equal(t, "text\n"+tablesBegin, string(text))
}

func TestASharePassesForNothingOrAllOnlyWhereItIs(t *testing.T) {
	t.Parallel()
	for want, of := range map[string][2]int{
		"0": {0, 0}, "0.1 %": {1, 100_000}, "0.5 %": {1, 200}, "3 %": {64, 2000}, "99 %": {1999, 2000}, "100 %": {7, 7},
	} {
		assert.Equal(t, want, percent(of[0], of[1]))
	}
}
