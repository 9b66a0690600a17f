package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// lookAtMost is how long one look may take to come: 15 s, and a second on a busy machine.
const lookAtMost = 16 * time.Second

// report writes the page, in both languages, and what WeChat was called for; the
// English one to stdout too. It is an error where a promise was broken.
func (w *world) report(stdout io.Writer) error {
	if err := w.writeCalls(); err != nil {
		return err
	}
	f, err := w.findings()
	if err != nil {
		return err
	}
	for _, in := range languages {
		text := f.page(in)
		if err := os.WriteFile(filepath.Join(w.out, in.page), []byte(text), 0o600); err != nil {
			return err
		}
		if in.page == languages[0].page {
			if _, err := io.WriteString(stdout, text); err != nil {
				return err
			}
		}
	}
	return errors.Join(f.broken...)
}

// writeCalls writes what each call to WeChat was for.
func (w *world) writeCalls() error {
	var text strings.Builder
	for _, c := range w.explain() {
		why := ""
		if c.extra {
			why = "beyond one per renewal: " + c.why.en
		}
		fmt.Fprintf(&text, "%8.2f s  %s  %-12s  %s\n", c.at.Seconds(), c.account, c.api, why)
	}
	return os.WriteFile(filepath.Join(w.out, "calls.log"), []byte(text.String()), 0o600)
}

// findings are what a run has shown.
type findings struct {
	about  words
	lines  []line
	clocks []clock
	flat   []flat
	totals []total
	reason []reason // of all calls beyond one per renewal
	broken []error
}

// total is a figure of the whole run.
type total struct {
	what  words
	value any
}

func (f *findings) complain(format string, args ...any) {
	f.broken = append(f.broken, fmt.Errorf(format, args...))
}

// findings looks through the books.
func (w *world) findings() (*findings, error) {
	calls := w.explain()
	f := &findings{clocks: w.clocks, about: words{
		"%d sidecars, %d accounts, tokens of %.0f s that work %.0f s beyond the next one; %d readers in Go, %d in PHP; ",
		"%d 个 sidecar，%d 个账号，token 有效期 %.0f 秒，下一个签发后还能用 %.0f 秒；Go 的读取者 %d 个，PHP 的 %d 个；",
	}.filled(len(w.pods), len(w.accounts), life.Seconds(), grace.Seconds(), len(w.pods), len(w.pods)).and(machine())}
	for _, turns := range byName(w.rows) {
		l := w.line(turns, calls)
		f.lines = append(f.lines, l)
		for _, b := range l.broken {
			f.complain("%s: %s", l.name.en, b)
		}
	}
	all := span{to: w.journal.now()}
	whole := w.judge.of(all)
	var unexplained int
	f.reason, unexplained = extra(calls, all)
	leaks, err := w.leaks()
	if err != nil {
		return nil, err
	}
	var growing int
	f.flat, growing = w.flatness()
	most := busiest(calls, configured)
	stable := busiest(calls, func(c call) bool { return !configured(c) })
	f.totals = []total{
		{words{"tokens read", "读取 token 的次数"}, whole.reads},
		{words{"dead tokens read", "读到失效 token 的次数"}, whole.dead},
		{words{"reads that failed", "失败的读取"}, whole.failed},
		{words{"calls to WeChat", "对微信的调用"}, len(calls)},
		{
			words{"calls beyond one per renewal to the API that is configured, for one account in ten minutes, at most", "同一账号十分钟内，对所配置的接口，超出“每次续期一次”的调用最多"},
			words{"%d (the bound of Bounded is %d)", "%d（“次数有限”的上限是 %d）"}.filled(most, callsAtMost),
		},
		{
			words{"to stable_token, which each sidecar asks for itself while memcached is out of reach, at most once in 30 s", "连不上 memcached 时 sidecar 各自向 stable_token 要，每个最多 30 秒一次；同上，最多"},
			words{"%d (%d sidecars, so the bound is %d)", "%d（%d 个 sidecar，上限因此是 %d）"}.filled(stable, len(w.pods), stableAtMost*len(w.pods)),
		},
		{words{"longest time that an entry was older than one before", "条目比之前更旧的最长时间"}, seconds(w.watch.backwards())},
		{words{"AppSecrets and tokens printed", "输出的 AppSecret 和 token"}, leaks},
		{words{"sidecars that have grown", "占用增长的 sidecar"}, grown(f.flat, growing)},
		{words{"time", "用时"}, w.journal.now().Round(time.Second)},
		{words{"calls that nothing explains", "无法解释的调用"}, unexplained},
		{words{"calls beyond one per renewal", "超出“每次续期一次”的调用"}, sum(f.reason)},
	}
	beside := whole // of what stands in no row: other accounts, while a step hurts one
	for _, l := range f.lines {
		unexplained -= l.unexplained
		beside.dead, beside.failed = beside.dead-l.figures.dead, beside.failed-l.figures.failed
	}
	if beside.dead > 0 || beside.failed > 0 || unexplained > 0 {
		f.complain("in no row of the table: %d dead tokens, %d failed reads, %d calls that nothing explains", beside.dead, beside.failed, unexplained)
	}
	if leaks > 0 {
		f.complain("Never leaked: %d secrets printed", leaks)
	}
	if most > callsAtMost {
		f.complain("Bounded: %d extra calls for one account in ten minutes", most)
	}
	if stable > stableAtMost*len(w.pods) {
		f.complain("Bounded: %d calls to stable_token for one account in ten minutes", stable)
	}
	if back := w.watch.backwards(); back > lookAtMost {
		f.complain("Never backwards: an entry was older than one before for %s", seconds(back).en)
	}
	if growing > 0 {
		f.complain("%d sidecars have grown", growing)
	}
	if w.broken.Load() {
		f.complain("the run itself went wrong; see the journal")
	}
	return f, nil
}

const (
	// callsAtMost is the bound of the sixth promise.
	callsAtMost = 10
	// stableAtMost is how often a sidecar may ask stable_token in ten minutes.
	stableAtMost = 20
)

// seconds is a time as people read it.
func seconds(d time.Duration) words {
	return words{"%.2f s", "%.2f 秒"}.filled(max(0, d).Seconds())
}
