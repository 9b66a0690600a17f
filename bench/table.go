package main

import (
	"fmt"
	"io"
	"strings"
)

// row is one line of the table. Empty cells are printed as –.
type row struct {
	what        string
	ours, floor string // with their units
	ratio       string // ours to the floor: median (quartiles)
	goal        string
	met         verdict
	note        string
	brief       string // the row of the documentation that it is one figure of; none where empty
}

// verdict is how a row stands to its goal.
type verdict int

const (
	noGoal verdict = iota
	met
	missed
)

// verdictOf is met where ok.
func verdictOf(ok bool) verdict {
	if ok {
		return met
	}
	return missed
}

func (v verdict) String() string { return [...]string{"", "met", "**missed**"}[v] }

var columns = []string{"what", "wxsidecar", "floor", "ratio (quartiles)", "goal", "goal met", "note"}

// cells are in the order of columns.
func (r row) cells() []string {
	return []string{r.what, r.ours, r.floor, r.ratio, r.goal, r.met.String(), r.note}
}

// writeTable writes all that was measured.
func writeTable(w io.Writer, rows []row) error {
	lines := make([][]string, len(rows))
	for i, r := range rows {
		lines[i] = r.cells()
	}
	return writeMarkdown(w, columns, lines)
}

func writeMarkdown(w io.Writer, head []string, lines [][]string) error {
	var text strings.Builder
	line := func(cells []string) {
		for _, cell := range cells {
			if cell == "" {
				cell = "–"
			}
			text.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
		}
		text.WriteString("|\n")
	}
	line(head)
	text.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, cells := range lines {
		line(cells)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// spread is a median with its quartiles.
func (s samples) spread(decimals int) string {
	return fmt.Sprintf("%.*f (%.*f–%.*f)", decimals, s.median(), decimals, s.at(0.25), decimals, s.at(0.75))
}

// Units, from nanoseconds and numbers, with as many digits as a ratio of two of them needs.
func microseconds(ns float64) string { return fmt.Sprintf("%.2f µs", ns/1e3) }
func milliseconds(ns float64) string { return fmt.Sprintf("%.1f ms", ns/1e6) }
func perSecond(n float64) string     { return thousands(n) + " a second" }

// thousands is a whole number as English writes it.
func thousands(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
