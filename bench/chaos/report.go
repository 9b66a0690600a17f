package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// lookAtMost is how long one look may take to come: 15 s, and a second on a busy machine.
const lookAtMost = 16 * time.Second

// callsAtMost is the bound of the sixth promise.
const callsAtMost = 10

// line is a row's cells and what was broken in it.
type line struct {
	cells  []string
	broken []string
}

// report writes the table, and is an error where a promise was broken.
func (w *world) report(stdout io.Writer) error {
	calls := w.explain()
	var text strings.Builder
	var broken []error
	complain := func(format string, args ...any) { broken = append(broken, fmt.Errorf(format, args...)) }

	fmt.Fprintf(&text, "%d sidecars, %d accounts, tokens of %.0f s that work %.0f s beyond the next one; %d readers in Go, %d in PHP; %s.\n\n",
		len(w.pods), len(w.accounts), life.Seconds(), grace.Seconds(), len(w.pods), len(w.pods), machine())
	head := []string{"fault", "attacks", "reads", "dead", "failed", "calls beyond one per renewal", "no entry for", "healed after", "longest read"}
	fmt.Fprintf(&text, "| %s |\n%s|\n", strings.Join(head, " | "), strings.Repeat("|---", len(head)))
	for _, r := range w.rows {
		l := w.line(r, calls)
		fmt.Fprintf(&text, "| %s |\n", strings.Join(l.cells, " | "))
		for _, b := range l.broken {
			complain("%s: %s", r.name, b)
		}
	}
	whole := w.judge.of(span{to: w.journal.now()})
	n, why, unexplained := extra(calls, span{to: w.journal.now()})
	leaks, err := w.leaks()
	if err != nil {
		return err
	}
	flat, growing := w.flatness()
	fmt.Fprintf(&text, "\n%s\n", flat)
	for _, total := range []struct {
		what  string
		value any
	}{
		{"tokens read", whole.reads},
		{"dead tokens read", whole.dead},
		{"reads that failed", whole.failed},
		{"calls to WeChat", len(calls)},
		{"calls beyond one per renewal", fmt.Sprintf("%d (%s)", n, why)},
		{"of them unexplained", unexplained},
		{"extra calls for one account in ten minutes, at most", busiest(calls)},
		{"longest time that an entry was older than one before", seconds(w.watch.backwards())},
		{"AppSecrets and tokens printed", leaks},
		{"sidecars that have grown", growing},
		{"time", w.journal.now().Round(time.Second)},
	} {
		fmt.Fprintf(&text, "* %s: %v\n", total.what, total.value)
	}
	if leaks > 0 {
		complain("Never leaked: %d secrets printed", leaks)
	}
	if most := busiest(calls); most > callsAtMost {
		complain("Bounded: %d extra calls for one account in ten minutes", most)
	}
	if back := w.watch.backwards(); back > lookAtMost {
		complain("Never backwards: an entry was older than one before for %s", back)
	}
	if growing > 0 {
		complain("%d sidecars have grown", growing)
	}
	if w.broken.Load() {
		complain("the run itself went wrong; see the journal")
	}
	if err = os.WriteFile(filepath.Join(w.out, "table.md"), []byte(text.String()), 0o600); err != nil {
		return err
	}
	if _, err = io.WriteString(stdout, text.String()); err != nil {
		return err
	}
	return errors.Join(broken...)
}

// line is the figures of a row, and what they break.
func (w *world) line(r *row, calls []explained) (l line) {
	f := w.judge.of(r.span)
	n, why, unexplained := extra(calls, r.span)
	healed := seconds(r.healed - r.undone)
	if r.never != nil {
		healed = "**never**"
		l.broken = append(l.broken, "not healed: "+r.never.Error())
	}
	tooMany := fmt.Sprint(n)
	if n > 0 {
		tooMany = why
	}
	fails := fmt.Sprint(f.failed)
	if f.failed > 0 && r.pardon != "" {
		fails += ": " + r.pardon
	}
	dies, stale, latest := fmt.Sprint(f.dead), 0, time.Duration(0)
	for _, d := range f.deadAt {
		after, ok := fresh(calls, d)
		if !ok || !r.lost {
			stale++
		}
		latest = max(latest, after)
	}
	if stale < f.dead {
		dies += fmt.Sprintf(": an answer was lost, so the next call ended the token before without a grace; the last was read %s after it", seconds(latest))
	}
	if stale > 0 {
		l.broken = append(l.broken, fmt.Sprintf("Never dead: %d dead tokens read", stale))
	}
	if f.failed > 0 && r.pardon == "" {
		l.broken = append(l.broken, fmt.Sprintf("Never nothing: %d reads failed", f.failed))
	}
	if unexplained > 0 {
		l.broken = append(l.broken, fmt.Sprintf("One call: %d calls that nothing explains", unexplained))
	}
	l.cells = []string{r.name, r.attacks, fmt.Sprint(f.reads), dies, fails, tooMany, seconds(w.watch.longestGap(r.span)), healed, seconds(f.longest)}
	return l
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", max(0, d).Seconds()) }

func median(all []int) int {
	slices.Sort(all)
	return all[len(all)/2]
}
