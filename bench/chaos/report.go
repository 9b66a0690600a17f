package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

const (
	// requestsAtMost is the limit of extra requests for one account in ten minutes to the
	// configured API: the budget.
	requestsAtMost = 10
	// directAtMost is how often one sidecar can ask stable_token in ten minutes.
	directAtMost = 20
)

// head is the head of the report: a section of docs/benchmarks.md.
const head = `## Chaos

` + "`make chaos`" + `, 26 minutes: %d sidecars, %d accounts, %d readers in Go and %d in PHP, a real memcached behind toxiproxy, WeChat over https. A token lives
%.0f s and stays valid for %.0f s after the next one. WeChat judges every token at the moment of its read. The run fails if an invariant is broken, if
nothing explains an extra request, or if a sidecar has grown. This section is its report (%d processors, %s).

Zero invalid tokens cannot be promised. A lost answer leaves a token that no sidecar has. The next request then invalidates the token in use at once,
until its answer arrives. The run accepts an invalid read only in a row with a lost answer, and only within 16 s after a request for that account.

**Extra requests** are those beyond one per renewal, with their causes. **No entry for** is the longest time without a token of some account in
memcached. **Healed after** is the time from the end of the fault until memcached has the last token of every account and every sidecar is ready. A step
or a wrong answer concerns one account: its row counts from the fault itself, for that account alone.

`

const resourcesHead = `
### Resources of the sidecars

The least within 70 s, at the start and at the end. Between them are all faults but those that kill sidecars. A sidecar has grown if it has 4 more
descriptors, 5 more goroutines or over 1 MiB more of heap, or more than 16 MiB of private memory, the request of the manifests.

`

// report writes the report to stdout and to -out. It returns an error if an invariant
// was broken.
func (h *harness) report(stdout io.Writer) error {
	broken := []error{h.judge.readLogs(h.out)}
	requests := h.explain()
	whole := h.judgeRow(&row{span: span{to: h.now()}}, requests)
	rows := [][]string{{"fault", "reads", "invalid", "failed", "extra requests", "no entry for", "healed after", "longest read"}}
	invalidReads, failedReads, unknown := whole.invalid, whole.failed, whole.causes[unexplained]
	for _, r := range h.rows {
		l := h.judgeRow(r, requests)
		rows, broken = append(rows, l.cells()), append(broken, l.broken...)
		invalidReads, failedReads, unknown = invalidReads-l.invalid, failedReads-l.failed, unknown-l.causes[unexplained]
	}
	var b strings.Builder
	fmt.Fprintf(&b, head, len(h.pods), len(h.accounts), len(h.pods), len(h.pods), life.Seconds(), grace.Seconds(), runtime.NumCPU(), runtime.Version())
	b.WriteString(program.Markdown(0, rows))
	broken = append(broken, h.writeRequests(requests), h.writeResources(&b), h.writeTotals(&b, whole, requests))
	if invalidReads > 0 || failedReads > 0 || unknown > 0 {
		broken = append(broken, fmt.Errorf("in no row: %d invalid tokens, %d failed reads, %d unexplained requests", invalidReads, failedReads, unknown))
	}
	_, err := io.WriteString(stdout, b.String())
	return errors.Join(append(broken, err, os.WriteFile(filepath.Join(h.out, "report.md"), []byte(b.String()), 0o600))...)
}

// writeTotals writes the figures of the whole run. It returns those that exceed their
// limits.
func (h *harness) writeTotals(b *strings.Builder, whole line, requests []*request) error {
	leaks, broken := h.leaks()
	configured, direct, limit := busiest(requests, "token"), busiest(requests, "stable_token"), directAtMost*len(h.pods)
	older := h.watch.longestOlder()
	extra := 0
	for _, n := range whole.causes {
		extra += n
	}
	b.WriteString("\n### All faults together\n\n")
	for _, one := range []struct {
		ok    bool
		what  string
		value any
	}{
		{true, "tokens read", whole.reads},
		{true, "invalid tokens read", whole.invalid},
		{true, "reads that failed", whole.failed},
		{configured <= requestsAtMost, "most extra requests for one account in ten minutes", fmt.Sprintf("%d (limit: %d)", configured, requestsAtMost)},
		{
			direct <= limit, "most requests to `stable_token` for one account in ten minutes",
			fmt.Sprintf("%d (limit: %d, which is %d for each sidecar)", direct, limit, directAtMost),
		},
		{older <= pollAtMost, "longest time that an entry was older than one before", seconds(older)},
		{leaks == 0, "AppSecrets and tokens in the logs", leaks},
		{true, "time", h.now().Round(time.Second)},
		{true, "requests to WeChat", len(requests)},
		{true, "extra requests", extra},
	} {
		fmt.Fprintf(b, "* %s: %v\n", one.what, one.value)
		if !one.ok {
			broken = errors.Join(broken, fmt.Errorf("%s: %v", one.what, one.value))
		}
	}
	for _, cause := range byCount(whole.causes) {
		fmt.Fprintf(b, "  * %s\n", cause)
	}
	return broken
}

// leaks counts the AppSecrets and tokens in the logs. Each of them contains one of two
// words that nothing else contains.
func (h *harness) leaks() (n int, err error) {
	files, err := filepath.Glob(filepath.Join(h.out, "*.log"))
	for _, path := range files {
		text, failed := os.ReadFile(path) //nolint:gosec // of this run
		err = errors.Join(err, failed)
		for _, word := range []string{"canary" + "secret", "canary" + "token"} {
			n += strings.Count(string(text), word)
		}
	}
	return n, err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", max(0, d).Seconds()) }
