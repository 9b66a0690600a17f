package program

import (
	"strconv"
	"strings"
)

// Markdown returns a table. Its first row is the head. The columns from numbers on
// are aligned to the right; 0 aligns none. An empty cell is printed as –.
func Markdown(numbers int, rows [][]string) string {
	var text strings.Builder
	for i, row := range rows {
		for _, cell := range row {
			if cell == "" {
				cell = "–"
			}
			text.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
		}
		text.WriteString("|\n")
		if i > 0 {
			continue
		}
		for j := range row {
			if numbers > 0 && j >= numbers {
				text.WriteString("|--:")
			} else {
				text.WriteString("|---")
			}
		}
		text.WriteString("|\n")
	}
	return text.String()
}

// Number returns n with a comma before every three digits.
func Number(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
