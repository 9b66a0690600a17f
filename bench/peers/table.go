package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// writeSummary writes one line for each contestant: the largest fleet, all
// situations together.
func writeSummary(w io.Writer, r result) error {
	rows := make([][]string, 0, len(contestants))
	for _, c := range contestants {
		f := r.largest(c)
		rows = append(rows, []string{c.name, number(f.Calls), deadOf(f), number(f.Errors), wait(f)})
	}
	return writeTable(w, []string{"", "calls to WeChat", "dead tokens, of those given", "errors", "worst wait"}, rows)
}

// writeSituations writes a table for each situation, of the contestants whose
// names contain only.
func writeSituations(w io.Writer, r result, only string) error {
	for s, name := range situationNames {
		var rows [][]string
		for _, c := range contestants {
			if !strings.Contains(c.name, only) {
				continue
			}
			all := r.at(c, s)
			rows = append(rows, []string{
				c.name,
				join(all, func(f figures) string { return number(f.Calls) }), join(all, deadOf),
				join(all, func(f figures) string { return number(f.Errors) }), join(all, wait),
			})
		}
		head := []string{name, "calls to WeChat", "dead tokens, of those given", "errors", "worst wait"}
		if err := writeTable(w, head, rows); err != nil {
			return err
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	return nil
}

func join(all []figures, cell func(figures) string) string {
	cells := make([]string, len(all))
	for i, f := range all {
		cells[i] = cell(f)
	}
	return strings.Join(cells, " · ")
}

func deadOf(f figures) string { return number(f.Dead) + " of " + number(f.Given) }

// wait has two digits that count.
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

// number has a comma every three digits.
func number(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// writeTable writes Markdown.
func writeTable(w io.Writer, head []string, rows [][]string) error {
	var text strings.Builder
	for i, cells := range append([][]string{head}, rows...) {
		text.WriteString("| " + strings.Join(cells, " | ") + " |\n")
		if i == 0 {
			text.WriteString("|---" + strings.Repeat("|--:", len(head)-1) + "|\n")
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}
