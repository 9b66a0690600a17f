package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnOrdinarySidecarCannotBeCaughtInItsSteps(t *testing.T) {
	root, err := goTool(t.Context(), "", "list", "-m", "-f", "{{.Dir}}", "github.com/wxsidecar/wxsidecar")
	require.NoError(t, err)
	for tag, want := range map[string]bool{"none": false, "chaos": true} {
		path := filepath.Join(t.TempDir(), tag)
		_, err := goTool(t.Context(), string(bytes.TrimSpace([]byte(root))), "build", "-tags", tag, "-o", path, "./sidecar")
		require.NoError(t, err)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, want, bytes.Contains(text, []byte("WXSIDECAR_CHAOS")), "tag %s", tag)
	}
}

func TestAPlanHasTheFaultsThatFit(t *testing.T) {
	whole, err := planned(fullMinutes, "")
	require.NoError(t, err)
	short, err := planned(2, "")
	require.NoError(t, err)
	assert.True(t, whole.whole)
	assert.False(t, short.whole)
	assert.NotEmpty(t, short.first)
	assert.Less(t, len(short.first), len(whole.first))
	assert.Equal(t, whole.again[0].name, whole.first[slices.IndexFunc(whole.first, func(f fault) bool { return f.name == whole.again[0].name })].name)
	one, err := planned(2, "does not resolve")
	require.NoError(t, err)
	assert.Len(t, one.first, 1, "what was named is in it, however short the run")
	for _, bad := range []struct {
		minutes int
		only    string
	}{{0, ""}, {20, "no such fault"}} {
		_, err := planned(bad.minutes, bad.only)
		require.Error(t, err)
	}
	for _, f := range slices.Concat(whole.first, whole.again, whole.last) {
		assert.NotEqual(t, f.run == nil, f.parts == nil, "%s: one of the two", f.name)
		assert.NotEmpty(t, f.name.zh)
	}
}

// books is a world of books alone: WeChat and judge, no process.
func books(t *testing.T) *world {
	t.Helper()
	j := &journal{start: time.Now()}
	w := &world{journal: j, judge: newJudge(j)}
	var err error
	w.wechat, err = newWeChat(t.Context(), j)
	require.NoError(t, err)
	t.Cleanup(w.wechat.close)
	return w
}

// called books a call that issued a token, which somebody holds or nobody.
func (w *world) called(account string, held bool) {
	at := w.journal.now()
	token := w.wechat.Steal(account) // issues as a call does
	w.wechat.calls = append(w.wechat.calls, call{at: at, account: account, api: "token"})
	if held {
		w.judge.holds(token)
	}
}

func TestACallBeyondOnePerRenewalIsExplainedOrTold(t *testing.T) {
	const account = "wx1"
	for name, test := range map[string]struct {
		happened func(w *world)
		extra    int
		why      string
		unknown  int
	}{
		"one renewal": {func(w *world) { w.called(account, true) }, 0, "0", 0},
		"twice, and nothing is known": {func(w *world) {
			w.called(account, true)
			w.called(account, true)
		}, 1, "1 × **unexplained**", 1},
		"its sidecar was killed": {func(w *world) {
			w.called(account, false)
			w.judge.hit(account, same("killed"))
			w.called(account, true)
		}, 1, "1 × killed", 0},
		"its lease was lost, when memcached was hurt": {func(w *world) {
			w.rows = []*row{{memcached: true}}
			w.called(account, true)
			w.judge.events = append(w.judge.events, event{at: w.journal.now(), AppID: account, Text: lostLease})
			w.called(account, true)
		}, 1, "1 × the lease could not be confirmed after the answer: a doubt", 0},
		"its lease was lost, and nothing was done to memcached": {func(w *world) {
			w.called(account, true)
			w.judge.events = append(w.judge.events, event{at: w.journal.now(), AppID: account, Text: lostLease})
			w.called(account, true)
		}, 1, "1 × **unexplained**", 1},
		"WeChat answered wrongly": {func(w *world) {
			w.called(account, false)
			w.wechat.calls[0].answered = same("a web page")
			w.called(account, true)
		}, 1, "1 × after a web page", 0},
		"another account's": {func(w *world) {
			w.called(account, true)
			w.called("wx2", true)
		}, 0, "0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := books(t)
			w.wechat.AddAccount(account, firstSecret)
			w.wechat.AddAccount("wx2", firstSecret)
			test.happened(w)
			reasons, unknown := extra(w.explain(), span{to: time.Hour})
			assert.Equal(t, test.extra, sum(reasons))
			assert.Equal(t, test.why, told(reasons, languages[0]))
			assert.Equal(t, test.unknown, unknown)
		})
	}
}

func TestAGapCountsForTheSpanThatItFallsInto(t *testing.T) {
	w := &watch{gaps: []gap{{"wx1", 2 * time.Second, 9 * time.Second}}, open: map[string]time.Duration{"wx2": 20 * time.Second}}
	for _, test := range []struct {
		of   span
		want time.Duration
	}{
		{span{from: 0, to: 30 * time.Second}, 10 * time.Second},
		{span{from: 0, to: 15 * time.Second}, 7 * time.Second},
		{span{from: 5 * time.Second, to: 7 * time.Second}, 2 * time.Second},
		{span{from: 9 * time.Second, to: 15 * time.Second}, 0},
		{span{accounts: []string{"wx2"}, from: 0, to: 15 * time.Second}, 0},
	} {
		assert.Equal(t, test.want, w.longestGap(test.of))
	}
}

func TestADeadTokenAndAFailedReadBreakAPromise(t *testing.T) {
	w := books(t)
	w.watch = &watch{}
	w.judge.reads = []read{{account: "wx1", verdict: dead, at: time.Second}, {account: "wx1", verdict: failed, at: time.Second}}
	all := span{to: time.Minute}
	assert.Len(t, w.line([]*row{{span: all}}, nil).broken, 2)
	assert.Len(t, w.line([]*row{{span: all, pardon: same("nothing is anywhere")}}, nil).broken, 1, "a read may fail there")
	assert.Len(t, w.line([]*row{{span: all, lost: true}}, nil).broken, 2, "no call came just before")
	calls := []explained{{call: call{at: 900 * time.Millisecond, account: "wx1"}}}
	assert.Len(t, w.line([]*row{{span: all, lost: true}}, calls).broken, 1)
}

func TestAnEntryThatGoesBackIsTimed(t *testing.T) {
	w := newWatch(&world{})
	w.order("wx1", "token", 2, time.Second)
	w.order("wx1", "token", 1, 3*time.Second)
	w.order("wx1", "token", 1, 7*time.Second)
	assert.Equal(t, 4*time.Second, w.backwards())
	w.order("wx1", "token", 3, 8*time.Second)
	w.order("wx1", "stable_token", 1, 20*time.Second)
	w.order("wx1", "stable_token", 1, 30*time.Second)
	assert.Equal(t, 4*time.Second, w.backwards(), "it went on")
}
