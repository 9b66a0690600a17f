package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/memcache"
)

// The sidecar of users has no failpoints.
func TestBuild_FailpointsNeedTag(t *testing.T) {
	root, err := program.Go(t.Context(), "list", "-m", "-f", "{{.Dir}}", "github.com/wxsidecar/wxsidecar")
	require.NoError(t, err)
	for tag, want := range map[string]bool{"none": false, "chaos": true} {
		path := filepath.Join(t.TempDir(), tag)
		_, err := program.Go(t.Context(), "build", "-C", root, "-tags", tag, "-o", path, "./sidecar")
		require.NoError(t, err)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, want, strings.Contains(string(text), "WXSIDECAR_CHAOS"), "tag %s", tag)
	}
}

func TestPlan_HasFaultsThatFit(t *testing.T) {
	whole, err := planned(fullMinutes, "")
	require.NoError(t, err)
	short, err := planned(2, "")
	require.NoError(t, err)
	assert.True(t, whole.whole)
	assert.False(t, short.whole)
	assert.NotEmpty(t, short.faults)
	assert.Less(t, len(short.faults), len(whole.faults))
	one, err := planned(2, "does not resolve")
	require.NoError(t, err)
	assert.Len(t, one.faults, 1, "a named fault is in the plan, however short the run")
	for _, bad := range []struct {
		minutes int
		only    string
	}{{0, ""}, {20, "no such fault"}, {2, "("}} {
		_, err := planned(bad.minutes, bad.only)
		require.Error(t, err)
	}
}

// newBooks returns a harness without processes: WeChat, judge and watch.
func newBooks(t *testing.T) *harness {
	t.Helper()
	j := &journal{time.Now(), log.New(io.Discard, "", 0)}
	h := &harness{journal: j, judge: newJudge(j), watch: &watch{}}
	var err error
	h.wechat, err = newWeChat(j)
	require.NoError(t, err)
	t.Cleanup(h.wechat.close)
	return h
}

// request notes a request that issued a token, which arrived or not.
func (h *harness) request(account string, arrived bool) *request {
	r := &request{at: h.now(), account: account, api: "token"}
	token := h.wechat.FetchExternally(account) // issues as a request does
	h.wechat.requests = append(h.wechat.requests, r)
	if arrived {
		h.judge.hold(token)
	}
	return r
}

// log writes a line of a sidecar's log, without its time, and reads it.
func (h *harness) log(t *testing.T, line string) {
	t.Helper()
	h.out = t.TempDir()
	line += fmt.Sprintf(`,"time":%q}`+"\ntruncated", time.Now().Format(time.RFC3339Nano))
	require.NoError(t, os.WriteFile(filepath.Join(h.out, "sidecar-0.log"), []byte(line), 0o600))
	require.NoError(t, h.judge.readLogs(h.out))
}

// An extra request has a cause, or counts as unexplained.
func TestExplain_FindsCauses(t *testing.T) {
	const account = "wx1"
	unwritten := func(h *harness, at time.Duration) {
		h.judge.note(event{at: at, AppID: account, Kind: tokenUnwritten})
	}
	for name, test := range map[string]struct {
		happened func(h *harness)
		want     []string
	}{
		"one renewal": {func(h *harness) { h.request(account, true) }, nil},
		"two requests and no event": {func(h *harness) {
			h.request(account, true)
			h.request(account, true)
		}, []string{"1 × **unexplained**"}},
		"the sidecar was killed": {func(h *harness) {
			h.request(account, false)
			h.judge.note(event{at: h.now(), AppID: account, Kind: sidecarHit, fault: "killed"})
			h.request(account, true)
		}, []string{"1 × killed"}},
		"WeChat refused": {func(h *harness) {
			h.request(account, false)
			h.log(t, `{"appid":"wx1","msg":"any","event":"renewal_failed","errcode":40125`)
			h.request(account, true)
		}, []string{"1 × after errcode 40125"}},
		"an app reported the token": {func(h *harness) {
			h.request(account, true)
			h.log(t, `{"appid":"wx1","msg":"any","event":"token_reported"`)
			h.request(account, true)
		}, []string{"1 × reported as invalid"}},
		"a fault of memcached, the lease was lost": {func(h *harness) {
			h.rows = []*row{{fault: fault{memcached: true}}}
			h.request(account, true)
			unwritten(h, h.now())
			h.request(account, true)
		}, []string{"1 × the lease could not be confirmed after the answer: a doubt"}},
		"the lease was lost long after a fault of memcached": {func(h *harness) {
			h.request(account, true)
			h.rows = []*row{{fault: fault{memcached: true}, undone: h.now()}}
			r := h.request(account, true)
			r.at += lag
			unwritten(h, r.at)
		}, []string{"1 × **unexplained**"}},
		"the lease was lost without a fault of memcached": {func(h *harness) {
			h.request(account, true)
			unwritten(h, h.now())
			h.request(account, true)
		}, []string{"1 × **unexplained**"}},
		"stable_token after a fault of memcached": {func(h *harness) {
			h.request(account, true)
			h.rows = []*row{{fault: fault{memcached: true}, undone: h.now()}}
			r := h.request(account, true)
			r.api, r.at = "stable_token", r.at+lag-time.Second
		}, []string{"1 × memcached unreachable: a sidecar asks stable_token by itself"}},
		"stable_token long after": {func(h *harness) {
			h.request(account, true)
			h.rows = []*row{{fault: fault{memcached: true}, undone: h.now()}}
			r := h.request(account, true)
			r.api, r.at = "stable_token", r.at+lag
		}, []string{"1 × **unexplained**"}},
		"back from stable_token": {func(h *harness) {
			h.rows = []*row{{fault: fault{memcached: true}}}
			h.request(account, true)
			h.judge.note(event{at: h.now(), AppID: account, Kind: tokenDirect})
			h.request(account, true)
		}, []string{"1 × memcached reachable again: back from stable_token"}},
		"a renewal without memcached, and no fault of memcached": {func(h *harness) {
			h.request(account, true)
			h.judge.note(event{at: h.now(), AppID: account, Kind: tokenDirect})
			h.request(account, true)
		}, []string{"1 × **unexplained**"}},
		"all was forgotten": {func(h *harness) {
			h.request(account, true)
			h.forgotten = h.now()
			h.request(account, true)
		}, []string{"1 × no sidecar remembered the token"}},
		"a wrong answer": {func(h *harness) {
			h.request(account, false).wrong = "a web page"
			h.request(account, true)
		}, []string{"1 × after a wrong answer: a web page"}},
		"a wrong answer, and its doubt": {func(h *harness) {
			h.request(account, false).wrong = "a web page"
			h.request(account, true)
			h.request(account, true)
		}, []string{"1 × after a wrong answer: a web page", "1 × the doubt after a wrong answer: a web page"}},
		"a wrong answer, then stable_token": {func(h *harness) {
			h.rows = []*row{{fault: fault{memcached: true}}}
			h.request(account, false).wrong = "a web page"
			h.request(account, true).api = "stable_token"
		}, []string{"1 × after a wrong answer: a web page"}},
		"a frozen sidecar finds its lease lost after another one's request": {func(h *harness) {
			h.request(account, false)
			h.judge.note(event{at: h.now(), AppID: account, Kind: sidecarHit, fault: "frozen"})
			h.request(account, true).at += 15 * time.Second
			r := h.request(account, true)
			r.at += 20 * time.Second
			unwritten(h, r.at)
		}, []string{"1 × frozen", "1 × the lease could not be confirmed after the answer: a doubt"}},
		"a frozen sidecar finds the time for an answer over": {func(h *harness) {
			h.judge.note(event{at: -5 * time.Second, AppID: account, Kind: sidecarHit, fault: "frozen"})
			h.request(account, true)
			h.judge.note(event{at: 15 * time.Second, AppID: account, Kind: renewalFailed, Errcode: -1})
			h.request(account, true).at += 75 * time.Second
		}, []string{"1 × the doubt of frozen"}},
		"a renewal after a freeze is due sooner": {func(h *harness) {
			h.judge.note(event{at: -15 * time.Second, AppID: account, Kind: sidecarHit, fault: "frozen"})
			h.request(account, true)
			h.request(account, true).at += dueFirst(life) - freeze
		}, nil},
		"another account": {func(h *harness) {
			h.request(account, true)
			h.request("wx2", true)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newBooks(t)
			h.wechat.AddAccount(account, firstSecret)
			h.wechat.AddAccount("wx2", firstSecret)
			test.happened(h)
			assert.Equal(t, test.want, byCount(causes(h.explain(), span{to: time.Hour})))
		})
	}
}

func TestWatch_GapWithinSpan(t *testing.T) {
	w := &watch{gaps: []gap{{"wx1", 2 * time.Second, 9 * time.Second}}, missing: map[string]time.Duration{"wx2": 20 * time.Second}}
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

// An entry that goes back to an older token is timed, for each API by itself.
func TestWatch_OlderEntry(t *testing.T) {
	w := newWatch(&harness{})
	w.order("wx1", "token", 2, time.Second)
	w.order("wx1", "token", 1, 3*time.Second)
	w.order("wx1", "token", 1, 7*time.Second)
	assert.Equal(t, 4*time.Second, w.longestOlder())
	w.order("wx1", "token", 3, 8*time.Second)
	w.order("wx1", "stable_token", 1, 20*time.Second)
	w.order("wx1", "stable_token", 1, 30*time.Second)
	assert.Equal(t, 4*time.Second, w.longestOlder(), "a newer token ends it")
}

func TestJudgeRow_InvalidAndFailedReads(t *testing.T) {
	h := newBooks(t)
	h.judge.reads = []read{{account: "wx1", verdict: invalid, at: time.Second}, {account: "wx1", verdict: failed, at: time.Second}}
	all := span{to: time.Minute}
	assert.Len(t, h.judgeRow(&row{span: all}, nil).broken, 2)
	assert.Len(t, h.judgeRow(&row{span: all, fault: fault{excuse: "no token exists"}}, nil).broken, 1, "a read may fail")
	assert.Len(t, h.judgeRow(&row{span: all, lostAnswer: true}, nil).broken, 2, "no request came just before")
	requests := []*request{{at: 900 * time.Millisecond, account: "wx1"}}
	assert.Len(t, h.judgeRow(&row{span: all}, requests).broken, 2, "no answer was lost")
	l := h.judgeRow(&row{span: all, lostAnswer: true}, requests)
	assert.Len(t, l.broken, 1)
	assert.Contains(t, l.cells()[2], "1: after a lost answer")
}

func TestJudgeRow_HangingReader(t *testing.T) {
	h := newBooks(t)
	p := &pod{number: 3}
	h.pods = []*pod{p}
	r := &row{span: span{to: 15 * time.Second}, fault: fault{readersFree: true}}
	for at := range 10 {
		h.judge.reads = append(h.judge.reads, read{at: time.Duration(at) * time.Second, reader: nameGo(p)}, read{at: time.Duration(at) * time.Second, reader: namePHP(p)})
	}
	assert.Empty(t, h.judgeRow(r, nil).broken)
	h.judge.reads = h.judge.reads[:19]
	require.Len(t, h.judgeRow(r, nil).broken, 1)
	require.ErrorContains(t, h.judgeRow(r, nil).broken[0], "PHP, client, pod 3 read 9 times")
	r.readersFree = false
	assert.Empty(t, h.judgeRow(r, nil).broken, "the fault hinders readers")
	h.judge.reads[0].took = longestRead + time.Millisecond
	assert.Len(t, h.judgeRow(r, nil).broken, 1, "the clients' own limits should have ended this read")
}

// After all tokens were forgotten, a read can fail until there is a token again.
func TestJudgeRow_FailedReadWithoutToken(t *testing.T) {
	const account = "wx1"
	h := newBooks(t)
	h.wechat.AddAccount(account, firstSecret)
	h.request(account, true) // before: it does not count
	h.forgotten = 40 * time.Second
	r := &row{span: span{to: time.Minute}, fault: fault{excuse: "no token exists"}}
	failing := func(at time.Duration) []error {
		h.judge.reads = []read{{account: account, verdict: failed, at: at}}
		return h.judgeRow(r, nil).broken
	}
	assert.Len(t, failing(30*time.Second), 1, "nothing is forgotten yet")
	h.forgotten = h.now()
	assert.Empty(t, failing(30*time.Second), "there is no token yet")
	h.request(account, true)
	issued := h.now()
	assert.Empty(t, failing(issued))
	assert.Len(t, failing(issued+answered+time.Second), 1)
}

func TestJudgeRow_Cells(t *testing.T) {
	h := newBooks(t)
	h.watch.gaps = []gap{{"wx1", 11 * time.Second, 13 * time.Second}}
	h.judge.reads = []read{{account: "wx1", at: time.Second}, {account: "wx1", at: 11 * time.Second, took: 2 * time.Second}}
	r := &row{fault: fault{name: "a fault"}, span: span{from: 10 * time.Second, to: 15 * time.Second}, undone: 11 * time.Second, healedAt: 14 * time.Second}
	assert.Equal(t, []string{"a fault", "1", "0", "0", "0", "2.00 s", "3.00 s", "2.00 s"}, h.judgeRow(r, nil).cells())
	r.notHealed = io.EOF
	l := h.judgeRow(r, nil)
	assert.Len(t, l.broken, 1)
	assert.Equal(t, "**never**", l.cells()[6])
}

// A sidecar must remember the entry's token soon after that changed.
func TestOutdated_AllowsOnePoll(t *testing.T) {
	const account = "wx1"
	remembered := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"credentials": [{"appid": %q, "fingerprint": %q}]}`, account, remembered)
	}))
	defer server.Close()
	h := newBooks(t)
	h.accounts, h.pods = []string{account}, []*pod{{number: 3, opsListen: server.Listener.Addr().String()}}
	h.wechat.AddAccount(account, firstSecret)
	before, entry := h.wechat.FetchExternally(account), h.wechat.FetchExternally(account)
	h.watch.entries = map[string]string{account: entry}
	now := time.Now()
	later := now.Add(pollAtMost + time.Second)
	for _, test := range []struct {
		remembered string
		at         time.Time
		ok         bool
	}{
		{memcache.Fingerprint(entry), later, true},
		{memcache.Fingerprint(before), now, true},
		{memcache.Fingerprint(before), later, false},
		{"", now, false},
	} {
		remembered = test.remembered
		if err := h.outdated(t.Context(), test.at); test.ok {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "sidecar 3: wx1: remembers")
		}
	}
}

// A sidecar that uses more, or that did not survive, has grown.
func TestResources_Grown(t *testing.T) {
	start := resources{pid: 1, descriptors: 12, private: 6 << 20, goroutines: 12}
	assert.False(t, grown(start, start))
	for name, change := range map[string]func(*resources){
		"descriptors": func(r *resources) { r.descriptors += moreDescriptors + 1 },
		"goroutines":  func(r *resources) { r.goroutines += moreGoroutines + 1 },
		"heap":        func(r *resources) { r.heap += moreHeap + 1 },
		"memory":      func(r *resources) { r.private = mostPrivate + 1 },
		"another one": func(r *resources) { r.pid++ },
	} {
		end := start
		change(&end)
		assert.True(t, grown(start, end), name)
	}
}

// The busiest ten minutes count each API by itself.
func TestBusiest_TenMinutes(t *testing.T) {
	one := func(minute int, api, account string, extra bool) *request {
		return &request{at: time.Duration(minute) * time.Minute, account: account, api: api, extra: extra}
	}
	all := []*request{
		one(0, "token", "wx1", false),
		one(1, "token", "wx1", true), one(2, "stable_token", "wx1", true), one(5, "token", "wx2", true),
		one(10, "token", "wx1", true), one(11, "token", "wx1", true), one(12, "stable_token", "wx1", true),
	}
	assert.Equal(t, 2, busiest(all, "token"), "10 and 11, or 1 and 10: 11 is ten minutes after 1")
	assert.Equal(t, 1, busiest(all, "stable_token"))
}

// A run fails for a secret in a log, for too many requests, for an entry that was older
// too long, for a sidecar that has grown, and for what stands in no row.
func TestReport_FailsForBrokenLimits(t *testing.T) {
	for name, test := range map[string]struct {
		happened func(h *harness)
		want     string
	}{
		"a clean run": {func(*harness) {}, ""},
		"a secret": {func(h *harness) {
			require.NoError(t, os.WriteFile(filepath.Join(h.out, "sidecar-0.log"), []byte("canary"+"secret01"), 0o600))
		}, "AppSecrets and tokens in the logs: 1"},
		"eleven extra requests": {func(h *harness) {
			h.wechat.AddAccount("wx1", firstSecret)
			for range requestsAtMost + 2 {
				h.request("wx1", true).wrong = "a web page"
			}
		}, "most extra requests for one account in ten minutes: 11 (limit: 10)"},
		"too many requests without memcached": {func(h *harness) {
			h.rows = []*row{{fault: fault{memcached: true}}}
			h.wechat.AddAccount("wx1", firstSecret)
			for range directAtMost + 2 {
				h.request("wx1", true).api = "stable_token"
			}
		}, "most requests to `stable_token` for one account in ten minutes: 21 (limit: 20,"},
		"an unexplained request": {func(h *harness) {
			h.rows = []*row{{fault: fault{name: "a fault"}, span: span{to: time.Hour}}}
			h.wechat.AddAccount("wx1", firstSecret)
			h.request("wx1", true)
			h.request("wx1", true)
		}, "a fault: 1 requests that nothing explains"},
		"an older entry": {func(h *harness) { h.watch.longest = pollAtMost + time.Second }, "older than one before: 17.00 s"},
		"a sidecar grew": {func(h *harness) {
			p := &pod{number: 1}
			h.pods, h.measured = []*pod{p}, []map[*pod]resources{{p: {}}, {p: {heap: 2 << 20}}}
		}, "sidecar 1 has grown"},
		"an invalid token in no row": {func(h *harness) { h.judge.reads = []read{{verdict: invalid}} }, "in no row: 1 invalid tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newBooks(t)
			h.out, h.pods = t.TempDir(), []*pod{{}}
			test.happened(h)
			var printed strings.Builder
			err := h.report(&printed)
			written, _ := os.ReadFile(filepath.Join(h.out, "report.md"))
			assert.Equal(t, printed.String(), string(written))
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}
