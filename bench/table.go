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

// writeTable writes Markdown.
func writeTable(w io.Writer, rows []row) error {
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
	line(columns)
	text.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
	for _, r := range rows {
		line(r.cells())
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// spread is a median with its quartiles.
func (s samples) spread(decimals int) string {
	return fmt.Sprintf("%.*f (%.*f–%.*f)", decimals, s.median(), decimals, s.at(0.25), decimals, s.at(0.75))
}

// Units, from nanoseconds and bytes.
func microseconds(ns float64) string { return fmt.Sprintf("%.1f µs", ns/1e3) }
func milliseconds(ns float64) string { return fmt.Sprintf("%.1f ms", ns/1e6) }
func megabytes(bytes float64) string { return fmt.Sprintf("%.2f MB", bytes/1e6) }
