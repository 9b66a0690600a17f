package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// judge notes every read and every event.
type judge struct {
	journal *journal

	mu     sync.Mutex // guards the fields below
	reads  []read
	events []event         // of this program
	logged []event         // by the sidecars
	held   map[string]bool // the tokens that some reader or entry had
}

// read is one token that an app asked for.
type read struct {
	at, took        time.Duration
	reader, account string
	verdict         verdict
}

// verdict is what became of a read.
type verdict int

const (
	valid   verdict = iota
	invalid         // WeChat refused the token at the moment of the read
	failed          // the read brought no token
)

// Kinds of events: the key "event" in the sidecars' logs, and one of this program.
const (
	tokenUnwritten = "token_unwritten" // a token arrived, and the lease could not be confirmed
	tokenDirect    = "token_direct"    // a sidecar renewed without memcached
	tokenReported  = "token_reported"  // an app reported a valid token
	renewalFailed  = "renewal_failed"  // with an errcode
	sidecarHit     = "sidecar_hit"     // this program killed or froze a sidecar
)

// event is a line of a sidecar's log, or a hit.
type event struct {
	at      time.Duration
	Time    time.Time
	AppID   string `json:"appid"`
	Kind    string `json:"event"`
	Errcode int    `json:"errcode"`
	fault   string // of a hit
}

func newJudge(j *journal) *judge { return &judge{journal: j, held: map[string]bool{}} }

// read notes a read that began at a time. problem is the error of a read that failed.
func (j *judge) read(reader, account, token string, at time.Duration, v verdict, problem string) {
	r := read{at, j.journal.now() - at, reader, account, v}
	j.mu.Lock()
	j.reads = append(j.reads, r)
	j.mu.Unlock()
	switch v {
	case invalid:
		j.journal.say("INVALID TOKEN read by %s, account %s", reader, account)
	case failed:
		j.journal.say("a read failed: %s, account %s, after %.2f s: %s", reader, account, r.took.Seconds(), problem)
		return
	case valid:
	}
	j.hold(token)
}

// hold notes that some reader or entry had a token.
func (j *judge) hold(token string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.held[token] = true
}

func (j *judge) wasHeld(token string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.held[token]
}

// readLogs reads the events in the sidecars' logs of a folder.
func (j *judge) readLogs(folder string) error {
	paths, err := filepath.Glob(filepath.Join(folder, "sidecar-*.log"))
	var logged []event
	for _, path := range paths {
		text, failed := os.ReadFile(path) //nolint:gosec // of this run
		err = errors.Join(err, failed)
		for line := range strings.Lines(string(text)) {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				continue // the end of a sidecar that was killed
			}
			e.at = j.journal.at(e.Time)
			logged = append(logged, e)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.logged = logged
	return err
}

func (j *judge) note(e event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// find returns the events of a kind and an account, "" any, in a time.
func (j *judge) find(kind, account string, from, to time.Duration) (found []event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range slices.Concat(j.events, j.logged) {
		if e.Kind == kind && (account == "" || e.AppID == account) && e.at >= from && e.at <= to {
			found = append(found, e)
		}
	}
	return found
}

// hit returns what this program did to a sidecar in the renewal of an account; "" means
// nothing.
func (j *judge) hit(account string, from, to time.Duration) string {
	for _, e := range j.find(sidecarHit, account, from, to) {
		return e.fault
	}
	return ""
}

// span is some accounts in some time.
type span struct {
	accounts []string // empty means all
	from, to time.Duration
}

func (s span) has(account string, at time.Duration) bool {
	return at >= s.from && at < s.to && (len(s.accounts) == 0 || slices.Contains(s.accounts, account))
}

// line is a row with its figures, and with the invariants that it breaks.
type line struct {
	*row
	reads, invalid, failed int
	byReader               map[string]int
	longest                time.Duration  // read
	gap                    time.Duration  // the longest time without an entry
	causes                 map[string]int // of extra requests
	invalidNote            string
	broken                 []error
}

func (l *line) check(ok bool, format string, args ...any) {
	if !ok {
		l.broken = append(l.broken, fmt.Errorf(l.name+": "+format, args...))
	}
}

// judgeRow returns a row's figures and what they break.
func (h *harness) judgeRow(r *row, requests []*request) line {
	l := line{row: r, byReader: map[string]int{}, gap: h.watch.longestGap(r.span), causes: causes(requests, r.span)}
	unexcused := map[verdict]int{}
	latest := time.Duration(0)
	h.judge.mu.Lock()
	for _, read := range h.judge.reads {
		if !r.has(read.account, read.at) {
			continue
		}
		l.reads++
		l.byReader[read.reader]++
		l.longest = max(l.longest, read.took)
		switch read.verdict {
		case invalid:
			l.invalid++
			if after, follows := sinceRequest(requests, read); r.lostAnswer && follows {
				latest = max(latest, after)
			} else {
				unexcused[invalid]++
			}
		case failed:
			l.failed++
			if r.excuse == "" || !h.excused(read) {
				unexcused[failed]++
			}
		case valid:
		}
	}
	h.judge.mu.Unlock()
	if unexcused[invalid] < l.invalid {
		l.invalidNote = ": after a lost answer, the last " + seconds(latest) + " after the next request"
	}
	l.check(r.notHealed == nil, "not healed: %w", r.notHealed)
	l.check(unexcused[invalid] == 0, "%d invalid tokens read", unexcused[invalid])
	l.check(unexcused[failed] == 0, "%d reads failed", unexcused[failed])
	l.check(l.longest <= longestRead, "a read took %s", seconds(l.longest))
	for _, p := range h.pods {
		for _, reader := range []string{nameGo(p), namePHP(p)} {
			n, least := l.byReader[reader], int((r.to-r.from)/readAtLeast)
			l.check(!r.readersFree || n >= least, "a reader hangs: %s read %d times, not %d", reader, n, least)
		}
	}
	l.check(l.causes[unexplained] == 0, "%d requests that nothing explains", l.causes[unexplained])
	return l
}

// sinceRequest returns how long after a request for its account a read began, and
// false if no request came within a poll before the read.
func sinceRequest(requests []*request, r read) (after time.Duration, follows bool) {
	for _, q := range slices.Backward(requests) {
		if q.account == r.account && r.at+r.took >= q.at && r.at <= q.at+pollAtMost {
			return max(0, r.at-q.at), true
		}
	}
	return 0, false
}

// answered is how long after an issue the sidecar can take to receive the token and to
// write it, on a busy machine on which all sidecars have just started.
const answered = 2 * time.Second

// excused reports whether a read that failed began after all tokens were forgotten,
// and before its account could have a token again.
func (h *harness) excused(r read) bool {
	if r.at+r.took < h.forgotten {
		return false
	}
	for _, i := range h.wechat.Issued() {
		if at := h.at(i.At); i.AppID == r.account && at >= h.forgotten {
			return r.at < at+answered
		}
	}
	return true
}

// cells returns the row of the report's table.
func (l line) cells() []string {
	failures, extra, healed := fmt.Sprint(l.failed), "0", seconds(l.healedAt-l.undone)
	if l.failed > 0 && l.excuse != "" {
		failures += ": " + l.excuse
	}
	if len(l.causes) > 0 {
		extra = strings.Join(byCount(l.causes), "; ")
	}
	if l.notHealed != nil {
		healed = "**never**"
	}
	return []string{l.name, fmt.Sprint(l.reads), fmt.Sprint(l.invalid) + l.invalidNote, failures, extra, seconds(l.gap), healed, seconds(l.longest)}
}
