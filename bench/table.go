package main

import (
	"fmt"
	"strings"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// row is one line of the table: the figures of each transport or number of callers.
type row struct {
	what, unit string
	goal       string // empty: none
	figures    []figure
}

// figure is numbers without their unit. An empty one was not measured.
type figure struct {
	ours, floor, ratio string
	missed             bool // the goal
}

// cells returns the columns of the table.
func (r row) cells() []string {
	var ours, floors, ratios []string
	missed := 0
	for _, f := range r.figures {
		ours, floors, ratios = append(ours, f.ours), append(floors, f.floor), append(ratios, f.ratio)
		if f.missed {
			missed++
		}
	}
	goal := r.goal
	switch {
	case missed > 0 && missed == len(r.figures):
		goal += ", missed"
	case missed > 0:
		goal += fmt.Sprintf(", missed by %d of %d", missed, len(r.figures))
	}
	return []string{r.what, together(ours, r.unit), together(floors, r.unit), together(ratios, ""), goal}
}

// together returns numbers side by side, with their unit once.
func together(numbers []string, unit string) string {
	if numbers[0] == "" {
		return ""
	}
	return strings.TrimSpace(strings.Join(numbers, " / ") + " " + unit)
}

// table returns what was measured as Markdown.
func table(rows []row) string {
	lines := [][]string{{"what", "wxsidecar", "floor", "ratio", "goal"}}
	for _, r := range rows {
		lines = append(lines, r.cells())
	}
	return program.Markdown(0, lines)
}

// Numbers from nanoseconds, with as many digits as a ratio of two of them needs.
func microseconds(ns float64) string { return fmt.Sprintf("%.2f", ns/1e3) }
func milliseconds(ns float64) string { return fmt.Sprintf("%.1f", ns/1e6) }
