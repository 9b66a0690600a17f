package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
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
			w.judge.events = append(w.judge.events, event{at: w.journal.now(), AppID: account, Text: unwritten})
			w.called(account, true)
		}, 1, "1 × the lease could not be confirmed after the answer: a doubt", 0},
		"its lease was lost, long after memcached was hurt": {func(w *world) {
			w.called(account, true)
			w.rows = []*row{{memcached: true, undone: w.journal.now()}}
			w.called(account, true)
			w.wechat.calls[1].at += lag
			w.judge.events = append(w.judge.events, event{at: w.wechat.calls[1].at, AppID: account, Text: unwritten})
		}, 1, "1 × **unexplained**", 1},
		"stable_token, when memcached was hurt": {func(w *world) {
			w.called(account, true)
			w.rows = []*row{{memcached: true, undone: w.journal.now()}}
			w.called(account, true)
			w.wechat.calls[1].api = "stable_token"
			w.wechat.calls[1].at += lag - time.Second
		}, 1, "1 × memcached out of reach: a sidecar asks stable_token for itself", 0},
		"stable_token, long after": {func(w *world) {
			w.called(account, true)
			w.rows = []*row{{memcached: true, undone: w.journal.now()}}
			w.called(account, true)
			w.wechat.calls[1].api = "stable_token"
			w.wechat.calls[1].at += lag
		}, 1, "1 × **unexplained**", 1},
		"stable_token, after a wrong answer": {func(w *world) {
			w.rows = []*row{{memcached: true}}
			w.called(account, false)
			w.wechat.calls[0].answered = same("a web page")
			w.called(account, true)
			w.wechat.calls[1].api = "stable_token"
		}, 1, "1 × after a web page", 0},
		"its lease was lost, and nothing was done to memcached": {func(w *world) {
			w.called(account, true)
			w.judge.events = append(w.judge.events, event{at: w.journal.now(), AppID: account, Text: unwritten})
			w.called(account, true)
		}, 1, "1 × **unexplained**", 1},
		"WeChat answered wrongly": {func(w *world) {
			w.called(account, false)
			w.wechat.calls[0].answered = same("a web page")
			w.called(account, true)
		}, 1, "1 × after a web page", 0},
		"who was stopped finds his lease lost when he goes on, after another one's call": {func(w *world) {
			w.called(account, false)
			w.judge.hit(account, same("frozen"))
			w.called(account, true)
			w.wechat.calls[1].at += 15 * time.Second
			w.called(account, true)
			w.wechat.calls[2].at += 20 * time.Second
			w.judge.events = append(w.judge.events, event{at: w.wechat.calls[2].at, AppID: account, Text: unwritten})
		}, 2, "1 × frozen; 1 × the lease could not be confirmed after the answer: a doubt", 0},
		"who was stopped finds the time for an answer over": {func(w *world) {
			w.judge.hits = append(w.judge.hits, hit{-5 * time.Second, account, same("frozen")})
			w.called(account, true)
			w.judge.events = append(w.judge.events, event{at: 15 * time.Second, AppID: account, Text: failedRenewal, Code: -1})
			w.called(account, true)
			w.wechat.calls[1].at += 75 * time.Second
		}, 1, "1 × the doubt of frozen", 0},
		"who was frozen before the call is due by so much earlier": {func(w *world) {
			w.judge.hits = append(w.judge.hits, hit{-15 * time.Second, account, same("frozen")})
			w.called(account, true)
			w.called(account, true)
			w.wechat.calls[1].at += dueFirst(2*time.Hour) - frozenFor
		}, 0, "0", 0},
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

func TestAReaderThatHangsBreaksAPromise(t *testing.T) {
	w := books(t)
	w.watch = &watch{}
	p := &pod{number: 3}
	w.pods = []*pod{p}
	r := &row{span: span{to: 15 * time.Second}, free: true}
	for at := range 10 {
		w.judge.reads = append(w.judge.reads, read{at: time.Duration(at) * time.Second, reader: inGo(p)}, read{at: time.Duration(at) * time.Second, reader: inPHP(p)})
	}
	assert.Empty(t, w.line([]*row{r}, nil).broken)
	w.judge.reads = w.judge.reads[:19]
	broken := w.line([]*row{r}, nil).broken
	require.Len(t, broken, 1)
	assert.Contains(t, broken[0], "PHP, client, pod 3 read 9 times")
	r.free = false
	assert.Empty(t, w.line([]*row{r}, nil).broken, "what hinders them may")
	w.judge.reads[0].took = longestRead + time.Millisecond
	assert.Len(t, w.line([]*row{r}, nil).broken, 1, "a read that the clients' own limits should have ended")
}

func TestAfterAllWasForgottenAReadMayFailUntilThereIsATokenAgain(t *testing.T) {
	const account = "wx1"
	w := books(t)
	w.watch = &watch{}
	w.wechat.AddAccount(account, firstSecret)
	w.called(account, true) // before: it is of no account
	w.forgotten = 40 * time.Second
	r := &row{span: span{to: time.Minute}, pardon: same("nothing is anywhere")}
	failing := func(at time.Duration) []string {
		w.judge.reads = []read{{account: account, verdict: failed, at: at}}
		return w.line([]*row{r}, nil).broken
	}
	assert.Len(t, failing(30*time.Second), 1, "nothing is forgotten yet")
	w.forgotten = w.journal.now()
	assert.Empty(t, failing(30*time.Second), "there is none yet")
	w.called(account, true)
	issued := w.journal.now()
	assert.Empty(t, failing(issued))
	assert.Len(t, failing(issued+answered+time.Second), 1)
}

func TestASidecarMustRememberTheEntrySoonAfterItChanged(t *testing.T) {
	const account = "wx1"
	remembered := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"credentials": [{"appid": %q, "fingerprint": %q}]}`, account, remembered)
	}))
	defer server.Close()
	w := books(t)
	w.accounts, w.pods = []string{account}, []*pod{{number: 3, ops: server.Listener.Addr().String()}}
	w.wechat.AddAccount(account, firstSecret)
	before, entry := w.wechat.Steal(account), w.wechat.Steal(account)
	w.watch = &watch{now: map[string]string{account: entry}}
	now := time.Now()
	later := now.Add(lookAtMost + time.Second)
	for _, test := range []struct {
		remembered string
		at         time.Time
		want       string
	}{
		{memcache.Fingerprint(entry), later, ""},
		{memcache.Fingerprint(before), now, ""},
		{memcache.Fingerprint(before), later, "sidecar 3: wx1: another token than that of the entry is remembered"},
		{"", now, "sidecar 3: wx1: no token is remembered"},
	} {
		remembered = test.remembered
		err := w.everyMemory(t.Context(), test.at)
		if test.want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, test.want)
		}
	}
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

// The page of docs must be one that make chaos wrote: whose rows are those of a run
// of all faults, in both languages.
func TestThePageOfDocsIsOfAWholeRun(t *testing.T) {
	whole := everything()
	for _, in := range languages {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", in.page))
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(text), in.of(head)), in.page)
		for _, f := range slices.Concat(whole.first, whole.last) {
			if f.run != nil {
				assert.Contains(t, string(text), "\n| "+in.of(f.name)+" | "+list(f.attacks, in)+" | ", in.page)
			}
		}
		assert.Contains(t, string(text), in.of(clocksHead))
		assert.Contains(t, string(text), in.of(flatsHead))
		assert.NotContains(t, string(text), in.of(unknown))
	}
}

func TestAFaultOfTwoTurnsIsOneLine(t *testing.T) {
	w := books(t)
	w.watch = &watch{gaps: []gap{{"wx1", 11 * time.Second, 13 * time.Second}}}
	w.judge.reads = []read{{account: "wx1", at: time.Second, took: time.Second}, {account: "wx1", at: 11 * time.Second, took: 2 * time.Second}}
	name := words{"a fault", "故障"}
	rows := byName([]*row{
		{name: name, attacks: []words{oneCall, neverDead}, span: span{to: 5 * time.Second}, healed: time.Second},
		{name: same("another one"), span: span{from: 5 * time.Second, to: 10 * time.Second}},
		{name: name, span: span{from: 10 * time.Second, to: 15 * time.Second}, undone: 11 * time.Second, healed: 14 * time.Second},
	})
	require.Len(t, rows, 2)
	l := w.line(rows[0], nil)
	assert.Equal(t, []string{"a fault", "One call, Never dead", "2", "2", "0", "0", "0", "2.00 s", "3.00 s", "2.00 s"}, l.cells(languages[0]))
	assert.Equal(t, []string{"故障", "只调一次、绝不失效", "2", "2", "0", "0", "0", "2.00 秒", "3.00 秒", "2.00 秒"}, l.cells(languages[1]))
}

func TestASidecarThatHoldsMoreOrDiedHasGrown(t *testing.T) {
	p := &pod{number: 1}
	w := &world{pods: []*pod{p}}
	before := state{usage: usage{descriptors: 12, anonymous: 6 << 20}, goroutines: 12, process: &process{}}
	for name, change := range map[string]func(*state){
		"descriptors": func(s *state) { s.descriptors += moreDescriptors + 1 },
		"goroutines":  func(s *state) { s.goroutines += moreGoroutines + 1 },
		"heap":        func(s *state) { s.live += moreLive + 1 },
		"memory":      func(s *state) { s.anonymous = mostAnonymous + 1 },
		"another one": func(s *state) { s.process = &process{} },
	} {
		after := before
		w.baseline, w.end = map[*pod]state{p: before}, map[*pod]state{p: after}
		_, growing := w.flatness()
		assert.Zero(t, growing)
		change(&after)
		w.end[p] = after
		_, growing = w.flatness()
		assert.Equal(t, 1, growing, name)
	}
}

func TestOfARunThatDidNotLookNoneIsSaidToHaveGrown(t *testing.T) {
	f := findings{totals: []total{{same("grown"), grown(nil, 0)}, {same("counted"), grown([]flat{{}}, 0)}}}
	assert.Contains(t, f.page(languages[0]), "* grown: nobody looked")
	assert.Contains(t, f.page(languages[1]), "* grown：没有检查")
	assert.Contains(t, f.page(languages[0]), "* counted: 0\n")
}

func TestTheBusiestTenMinutesCountEachAPIForItself(t *testing.T) {
	one := func(minute int, api, account string, extra bool) explained {
		return explained{call: call{at: time.Duration(minute) * time.Minute, account: account, api: api}, extra: extra}
	}
	all := []explained{
		one(0, "token", "wx1", false),
		one(1, "token", "wx1", true), one(2, "stable_token", "wx1", true), one(5, "token", "wx2", true),
		one(10, "token", "wx1", true), one(11, "token", "wx1", true), one(12, "stable_token", "wx1", true),
	}
	assert.Equal(t, 2, busiest(all, configured), "10 and 11, or 1 and 10: 11 is ten minutes after 1")
	assert.Equal(t, 1, busiest(all, func(c call) bool { return !configured(c) }))
}

func TestTheRowsOfClocksThatJumpAreRead(t *testing.T) {
	root, err := goTool(t.Context(), "", "list", "-m", "-f", "{{.Dir}}", "github.com/wxsidecar/wxsidecar")
	require.NoError(t, err)
	w := &world{root: strings.TrimSpace(root)}
	require.NoError(t, w.jumped(t.Context()))
	require.Len(t, w.clocks, 8, "by 10 minutes and 3 hours, forwards and backwards, of one and of all")
	assert.Equal(t, []string{"1 of 5 sidecars, forwards by 3 hours", "One call, Never dead, Never nothing"}, w.clocks[0].cells(languages[0])[:2])
	assert.Equal(t, "5 个 sidecar（共 5 个），拨慢 3 小时", w.clocks[7].cells(languages[1])[0])
	for _, c := range w.clocks {
		reads := c.figures[0]
		assert.NotEqual(t, "0", reads)
		assert.Equal(t, []string{"0", "0"}, c.figures[1:3], "dead, failed")
	}
}
