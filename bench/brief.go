package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeBrief writes the rows of the documentation, ready to paste: rows of one name
// are one, and their figures stand without quartiles.
func writeBrief(w io.Writer, rows []row) error {
	if _, err := io.WriteString(w, "\nFor the documentation:\n\n"); err != nil {
		return err
	}
	var lines [][]string
	for i, r := range rows {
		if same := slices.IndexFunc(rows, func(other row) bool { return other.brief == r.brief }); r.brief == "" || same < i {
			continue
		}
		lines = append(lines, briefCells(slices.DeleteFunc(slices.Clone(rows), func(other row) bool { return other.brief != r.brief })))
	}
	return writeMarkdown(w, []string{"what", "wxsidecar", "floor", "ratio", "goal"}, lines)
}

// briefCells are those of rows of one name.
func briefCells(rows []row) []string {
	ours, floors, ratios := make([]string, len(rows)), make([]string, len(rows)), make([]string, len(rows))
	missing := 0
	for i, r := range rows {
		ours[i], floors[i], ratios[i] = alone(r.ours), alone(r.floor), alone(r.ratio)
		if r.met == missed {
			missing++
		}
	}
	goal := strings.TrimSuffix(rows[0].goal, " ×")
	switch {
	case missing > 0 && missing == len(rows):
		goal += ", missed"
	case missing > 0:
		goal += fmt.Sprintf(", missed by %d of %d", missing, len(rows))
	}
	return []string{rows[0].brief, together(ours), together(floors), together(ratios), goal}
}

// alone is a figure without its quartiles.
func alone(figure string) string {
	before, rest, ok := strings.Cut(figure, " (")
	if !ok {
		return figure
	}
	_, after, _ := strings.Cut(rest, ")")
	return before + after
}

// together is figures side by side, with the unit that they share once.
func together(figures []string) string {
	_, unit, _ := strings.Cut(figures[0], " ")
	if unit == "" {
		return strings.Join(figures, " / ")
	}
	values := make([]string, len(figures))
	for i, f := range figures {
		value, ok := strings.CutSuffix(f, " "+unit)
		if !ok {
			return strings.Join(figures, " / ")
		}
		values[i] = value
	}
	return strings.Join(values, " / ") + " " + unit
}
