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

// common is what all fleets of the tests have in common. Its timeout is longer than a
// busy machine needs.
var common bench

func TestMain(m *testing.M) {
	var err error
	if common, err = newBench(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "prepare the tests:", err)
		os.Exit(1)
	}
	common.environ = []string{"MEMCACHED_TIMEOUT=2s"}
	common.window, common.later = 600*time.Millisecond, 200*time.Millisecond
	code := m.Run()
	_ = os.RemoveAll(common.programs) // a temporary folder
	os.Exit(code)
}

// TestFleet_CountsAreConsistent runs two pods of several contestants with real PHP,
// memcached and sidecars. Each assertion follows from the contestant's rules, on any
// machine.
func TestFleet_CountsAreConsistent(t *testing.T) {
	t.Parallel()
	const pods = 2
	b := common
	b.workers = 2
	asks := func(f figures) int { return f.Given + f.Errors }
	for _, tt := range []struct {
		name  string
		check func(t *testing.T, seen [situations]figures)
	}{
		{"PHP class (rebuilt)", func(t *testing.T, seen [situations]figures) {
			t.Helper()
			assert.Positive(t, seen[coldStart].Requests)
			assert.Equal(t, asks(seen[memcachedDown]), seen[memcachedDown].Requests, "each request fetches")
			assert.Zero(t, seen[externalFetch].Requests)
			assert.Equal(t, seen[externalFetch].Given, seen[externalFetch].Invalid, "it has no way to report a token")
		}},
		{"silenceper/wechat", func(t *testing.T, seen [situations]figures) {
			t.Helper()
			assert.Equal(t, seen[memcachedDown].Errors, seen[memcachedDown].Requests, "each request fetches, and fails")
			assert.Zero(t, seen[memcachedDown].Given)
		}},
		{"bare stable_token", func(t *testing.T, seen [situations]figures) {
			t.Helper()
			assert.Equal(t, pods, seen[coldStart].Requests)
			assert.Zero(t, seen[coldStart].Invalid+seen[memcachedRestarted].Invalid+seen[memcachedDown].Invalid)
			assert.Zero(t, seen[memcachedRestarted].Requests+seen[memcachedDown].Requests, "it does not use memcached")
			assert.Equal(t, pods, seen[externalFetch].Requests)
		}},
		{"wxsidecar, token", func(t *testing.T, seen [situations]figures) { t.Helper(); checkOurs(t, seen, pods*b.workers) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := newFleet(t.Context(), b, named(t, tt.name), pods)
			require.NoError(t, err)
			defer f.end()
			seen, err := f.runSituations(t.Context())
			require.NoError(t, err)
			for s := range situations {
				if s != renewal {
					assert.Positive(t, asks(seen[s]), situationNames[s])
					assert.LessOrEqual(t, seen[s].Invalid, seen[s].Given, situationNames[s])
					assert.Positive(t, seen[s].Worst, situationNames[s])
				}
			}
			tt.check(t, seen)
			counted := 0
			for _, requests := range f.wechat.counts {
				counted += requests
			}
			assert.Equal(t, f.wechat.Requests(appID, ""), counted, "each request is counted once")
		})
	}
}

func checkOurs(t *testing.T, seen [situations]figures, workers int) {
	t.Helper()
	requests, bad := 0, 0
	for s := range situations {
		requests += seen[s].Requests
		bad += seen[s].Errors
		if s != externalFetch {
			bad += seen[s].Invalid
		}
	}
	assert.Equal(t, 2, requests, "the first token, and one after the rejection")
	assert.Zero(t, bad)
	assert.LessOrEqual(t, seen[externalFetch].Invalid, workers, "each worker learns it once")
	assert.Positive(t, seen[externalFetch].Invalid)
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

// TestFleet_Renewal renews once with a contestant that keeps time in memcached, and
// with one that keeps it in the process.
func TestFleet_Renewal(t *testing.T) {
	t.Parallel()
	b := common
	b.workers = 1
	for _, name := range []string{"PHP class (rebuilt)", "wxsidecar, token"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := newFleet(t.Context(), b, named(t, name), 1)
			require.NoError(t, err)
			defer f.end()
			seen, err := f.renew(t.Context())
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
	r.Figures["PHP class (rebuilt)"][memcachedDown][2] = figures{Requests: 1234, tally: tally{Given: 2000, Invalid: 1999, Errors: 0, Worst: 1_540_000}}
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
	require.ErrorContains(t, run(t.Context(), []string{"-draw", path}, &stdout, &stdout), "figures of PHP class (rebuilt) are missing")
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

// TestPercent_RoundsToAllOnlyIfAll rounds to 0 and 100 only what is exactly that.
func TestPercent_RoundsToAllOnlyIfAll(t *testing.T) {
	t.Parallel()
	for want, of := range map[string][2]int{
		"0": {0, 0}, "0.1 %": {1, 100_000}, "0.5 %": {1, 200}, "3 %": {64, 2000}, "99 %": {1999, 2000}, "100 %": {7, 7},
	} {
		assert.Equal(t, want, percent(of[0], of[1]))
	}
}
