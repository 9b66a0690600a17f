package main

import (
	"fmt"
	"slices"
	"time"
)

// line is a fault's figures, of all its turns together, and what was broken.
type line struct {
	*row
	turns       int
	figures     figures
	extra       []reason
	unexplained int // of these
	gap, healed time.Duration
	never       bool
	deaths      words // what to say of the dead tokens
	broken      []string
}

// byName is the rows of each fault, in the order of the first ones.
func byName(rows []*row) (all [][]*row) {
	for _, r := range rows {
		i := slices.IndexFunc(all, func(turns []*row) bool { return turns[0].name == r.name })
		if i < 0 {
			i, all = len(all), append(all, nil)
		}
		all[i] = append(all[i], r)
	}
	return all
}

// line is the figures of a fault's turns, and what they break.
func (w *world) line(turns []*row, calls []explained) line {
	l := line{row: turns[0], turns: len(turns)}
	var spans []span
	var stale int
	var latest time.Duration
	for _, r := range turns {
		f := w.judge.of(r.span)
		l.figures.add(f)
		spans = append(spans, r.span)
		l.gap = max(l.gap, w.watch.longestGap(r.span))
		l.healed = max(l.healed, r.healed-r.undone)
		if r.never != nil {
			l.never = true
			l.broken = append(l.broken, "not healed: "+r.never.Error())
		}
		for _, d := range f.deadAt {
			after, ok := fresh(calls, d)
			if !ok || !r.lost {
				stale++
			}
			latest = max(latest, after)
		}
	}
	if stale < l.figures.dead {
		l.deaths = words{
			": an answer was lost, so the next call ended the token before without a grace; the last was read ",
			"：一个应答丢失，所以下一次调用立即结束了之前的 token；最后一次读到是在其后 ",
		}.and(seconds(latest)).and(words{" after it", ""})
	}
	if stale > 0 {
		l.broken = append(l.broken, fmt.Sprintf("Never dead: %d dead tokens read", stale))
	}
	failed := slices.DeleteFunc(slices.Clone(l.figures.failedAt), func(r read) bool { return l.pardon != (words{}) && w.forgiven(r) })
	if len(failed) > 0 {
		l.broken = append(l.broken, fmt.Sprintf("Never nothing: %d reads failed", len(failed)))
	}
	if l.figures.longest > longestRead {
		l.broken = append(l.broken, fmt.Sprintf("Never nothing: a read took %s", seconds(l.figures.longest).en))
	}
	l.broken = append(l.broken, w.hanging(turns)...)
	if l.extra, l.unexplained = extra(calls, spans...); l.unexplained > 0 {
		l.broken = append(l.broken, fmt.Sprintf("One call: %d calls that nothing explains", l.unexplained))
	}
	return l
}

// hanging is the readers that hardly read although nothing hindered them.
func (w *world) hanging(turns []*row) (broken []string) {
	for _, r := range turns {
		if !r.free {
			continue
		}
		counts := w.judge.counts(r.span)
		for _, p := range w.pods {
			for _, reader := range []string{inGo(p), inPHP(p)} {
				if n, least := counts[reader], int((r.to-r.from)/readAtLeast); n < least {
					broken = append(broken, fmt.Sprintf("Never nothing: a reader hangs: %s read %d times, should have %d times at least", reader, n, least))
				}
			}
		}
	}
	return broken
}

// answered is how long after WeChat has issued a token the sidecar may have it, and
// memcached: on a busy machine, on which all sidecars have just started.
const answered = 2 * time.Second

// forgiven reports whether a read that failed began before there could be a token
// of its account again, after all was forgotten.
func (w *world) forgiven(r read) bool {
	if r.at+r.took < w.forgotten {
		return false
	}
	for _, i := range w.wechat.Issued() {
		if at := w.journal.at(i.At); i.AppID == r.account && at >= w.forgotten {
			return r.at < at+answered
		}
	}
	return true
}

// cells are the line in the table.
func (l line) cells(in language) []string {
	healed := in.of(seconds(l.healed))
	if l.never {
		healed = in.of(words{"**never**", "**从未**"})
	}
	fails := fmt.Sprint(l.figures.failed)
	if l.figures.failed > 0 && l.pardon != (words{}) {
		fails += in.of(words{": ", "："}) + in.of(l.pardon)
	}
	return []string{
		in.of(l.name), list(l.attacks, in), fmt.Sprint(l.turns), fmt.Sprint(l.figures.reads), fmt.Sprint(l.figures.dead) + in.of(l.deaths), fails,
		told(l.extra, in), in.of(seconds(l.gap)), healed, in.of(seconds(l.figures.longest)),
	}
}
