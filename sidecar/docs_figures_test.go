package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// copyFigures is for whoever has measured anew:
//
//	go test ./sidecar -run TestFiguresAreCopied -docs.figures
var copyFigures = flag.Bool("docs.figures", false, "write the figures of the English tables into the Chinese ones")

// TestFiguresAreCopied into a Chinese table row by row, in the order in which the
// English row has them. A row with more or fewer figures is left to a translator.
func TestFiguresAreCopied(t *testing.T) {
	for i, name := range english {
		en, zh := document(t, name), document(t, chinese[i])
		copied := withFigures(en, zh)
		if *copyFigures {
			require.NoError(t, os.WriteFile(filepath.Join(root, chinese[i]), []byte(copied), 0o600))
			continue
		}
		assert.Empty(t, differing(zh, copied), "%s has other figures than %s: see -docs.figures", chinese[i], name)
	}
}

func TestAFigureGoesWhereTheEnglishRowHasIt(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "|甲| 3 个，160 万，20 秒，5 ms |\n|乙| 5 |",
		withFigures("|a| 3 of, 1.6 million, 20 s, 5 ms |\n|b| 4, 5 |", "|甲| 2 个，160 万，1 秒，2 s |\n|乙| 5 |"))
}

// differing are the lines of a text that another has otherwise.
func differing(text, other string) []string {
	var all []string
	others := strings.Split(other, "\n")
	for i, line := range strings.Split(text, "\n") {
		if line != others[i] {
			all = append(all, line)
		}
	}
	return all
}

// withFigures is the Chinese document with the English one's figures.
func withFigures(en, zh string) string {
	rows := tableLines(en)
	lines := strings.Split(zh, "\n")
	for at, line := range lines {
		if !strings.HasPrefix(line, "|") || len(rows) == 0 {
			continue
		}
		row := rows[0]
		rows = rows[1:]
		raw, values, had := number.FindAllString(row, -1), figures(row), figures(line)
		if len(values) != len(had) {
			continue
		}
		k := -1
		lines[at] = number.ReplaceAllStringFunc(line, func(old string) string {
			k++
			switch {
			case values[k] == had[k]:
				return old
			case strings.HasSuffix(old, "秒"):
				return strings.TrimSuffix(raw[k], " s") + " 秒"
			}
			return raw[k]
		})
	}
	return strings.Join(lines, "\n")
}

// tableLines are the lines of all tables.
func tableLines(text string) []string {
	var all []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "|") {
			all = append(all, line)
		}
	}
	return all
}
