package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// cells are the sizes of docs/benchmarks.md's table.
var cells = func() (all []trial) {
	for _, sidecars := range []int{10, 100, 1000, 10_000} {
		for _, accounts := range []int{1, 100, 10_000} {
			all = append(all, trial{sidecars: sidecars, accounts: accounts})
		}
	}
	return all
}()

// table is Markdown. A number with a star is worked out, all others were counted.
func (c costs) table(all []outcome) string {
	var text strings.Builder
	line := func(words ...string) { text.WriteString("| " + strings.Join(words, " | ") + " |\n") }
	line("sidecars", "accounts", "calls to WeChat for an account in a day", "most in a second, a minute of the start, a minute later",
		"memcached: requests, keys in a second", "from memcached", "connections", "requests of a sidecar in a second")
	text.WriteString(strings.Repeat("|---", 8) + "|\n")
	for _, cell := range cells {
		at := slices.IndexFunc(all, func(o outcome) bool { return o.sidecars == cell.sidecars && o.accounts == cell.accounts })
		var o outcome
		if at >= 0 {
			o = all[at]
		}
		l, star := c.at(cell.sidecars, cell.accounts, grown), "*"
		if o.after > 0 {
			l, star = o.afterCost.load().times(1/o.after.Seconds()), ""
		}
		perDay := fmt.Sprintf("%.1f*", 24*3600/(period.Seconds()+30/float64(cell.sidecars+1)))
		if o.perDay > 0 {
			perDay = fmt.Sprintf("%.1f", o.perDay)
		}
		first := short(worstSecond(cell.sidecars, cell.accounts)) + "*, " + short(worstMinute(cell.sidecars, cell.accounts)) + "*"
		connections := short(float64(cell.sidecars)) + " to " + short(float64(2*cell.sidecars)) + "*"
		if at >= 0 {
			first = short(float64(o.startSecond)) + ", " + short(float64(o.startMinute))
			connections = short(float64(o.calmCost.open))
		}
		later := short(laterMinute(cell.accounts)) + "*"
		if o.after > period {
			later = short(float64(o.afterMinute))
		}
		line(short(float64(cell.sidecars)), short(float64(cell.accounts)), perDay, first+", "+later,
			short(l.requests)+star+", "+short(l.keys)+star, bytesInASecond(l.out)+star, connections,
			fmt.Sprintf("%.2f%s", l.requests/float64(cell.sidecars), star))
	}
	fmt.Fprintf(&text, "\nA key of a look: %.0f bytes in, %.0f out. A renewal: %s; for every other sidecar: %s.\n", c.inKey, c.outKey, c.caller, c.bystander)
	return text.String()
}

func (l load) String() string {
	return fmt.Sprintf("%s requests, %s keys, %s bytes in, %s out", short(l.requests), short(l.keys), short(l.in), short(l.out))
}

// short is a number with three digits that count, and commas.
func short(x float64) string {
	if x < 100 {
		return fmt.Sprintf("%.3g", x)
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-2)
	digits := fmt.Sprintf("%.0f", math.Round(x/unit)*unit)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func bytesInASecond(n float64) string {
	switch {
	case n < 1e6:
		return fmt.Sprintf("%s KB/s", short(n/1e3))
	case n < 1e9:
		return fmt.Sprintf("%s MB/s", short(n/1e6))
	}
	return fmt.Sprintf("%s GB/s", short(n/1e9))
}
