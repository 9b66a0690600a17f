package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// The tables stand between these two lines of the page.
const (
	tablesBegin = "<!-- make bench-peers writes from here -->\n"
	tablesEnd   = "<!-- to here -->\n"
)

// updatePage replaces the tables of a page.
func updatePage(path string, r result) error {
	page, err := os.ReadFile(path) //nolint:gosec // named by the caller
	if err != nil {
		return err
	}
	head, rest, found := bytes.Cut(page, []byte(tablesBegin))
	_, foot, ended := bytes.Cut(rest, []byte(tablesEnd))
	if !found || !ended {
		return fmt.Errorf("%s: no place for the tables; it needs the lines %q and %q", path, tablesBegin, tablesEnd)
	}
	page = fmt.Appendf(nil, "%s%s\n%s\n%s\n%s%s", head, tablesBegin, totals(r), situationTable(r, ""), tablesEnd, foot)
	return os.WriteFile(path, page, 0o644) //nolint:gosec // a page is public
}

// totals returns one row for each contestant: the largest fleet in all situations.
func totals(r result) string {
	rows := [][]string{{fmt.Sprintf("%s pods, all situations", program.Number(r.Pods[len(r.Pods)-1])), "requests to WeChat", "invalid tokens", "errors", "longest wait"}}
	for _, c := range contestants {
		rows = append(rows, append([]string{c.name}, cells([]figures{r.total(c)})...))
	}
	return program.Markdown(1, rows)
}

// situationTable returns a row for each situation and each contestant whose name
// contains only, with the figures of each fleet.
func situationTable(r result, only string) string {
	rows := [][]string{{"situation", "who", "requests to WeChat", "invalid tokens", "errors", "longest wait"}}
	for s, name := range situationNames {
		for _, c := range contestants {
			if strings.Contains(c.name, only) {
				rows = append(rows, append([]string{name, c.name}, cells(r.Figures[c.name][s])...))
			}
		}
	}
	return program.Markdown(2, rows)
}

// cells returns the four columns that every table has.
func cells(all []figures) []string {
	row := make([]string, 4)
	for i, f := range all {
		for j, cell := range []string{program.Number(f.Requests), program.Number(f.Invalid) + " of " + program.Number(f.Given), program.Number(f.Errors), wait(f)} {
			if i > 0 {
				row[j] += " · "
			}
			row[j] += cell
		}
	}
	return row
}

// wait returns the longest wait with two significant digits.
func wait(f figures) string {
	d := time.Duration(f.Worst) * time.Microsecond
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	}
	return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
}
