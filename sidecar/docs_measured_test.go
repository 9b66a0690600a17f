package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var inMeasured = regexp.MustCompile(`\]\(docs/measured\.md#([a-z0-9-]+)\)`)

// TestTheREADMEsFiguresAreThoseOfTheirTables: each row of the README's table links
// to the section that has its figures.
func TestTheREADMEsFiguresAreThoseOfTheirTables(t *testing.T) {
	t.Parallel()
	full := document(t, "docs/measured.md")
	for _, row := range tableRows(t, "what", "wxsidecar", "beside it", "made by, in full") {
		link := inMeasured.FindStringSubmatch(row[3])
		require.NotNil(t, link, row[0])
		assert.Empty(t, strange(row[1]+" | "+row[2], section(t, full, link[1])), "figures of %q that %s has not", row[0], link[1])
	}
}

func TestAFigureThatNoTableHasIsNoticed(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"63", "13.8 µs"}, strange("3; 63 of 12,580 | 13.8 µs; 4 ms", "| 3 | 62 of 12,580 | 13.7 µs | 4 ms |"))
}

// section is what stands under a heading.
func section(t *testing.T, text, anchor string) string {
	t.Helper()
	for part := range strings.SplitSeq(text, "\n## ") {
		if title, rest, _ := strings.Cut(part, "\n"); slug(title) == anchor {
			return rest
		}
	}
	require.Fail(t, "no such section", anchor)
	return ""
}

// strange are the figures of a text that another lacks.
func strange(text, other string) []string {
	known := figures(other)
	return slices.DeleteFunc(figures(text), func(f string) bool {
		digits, _, united := strings.Cut(f, " ") // "1 / 8 µs" gives its unit once
		return slices.Contains(known, f) || united && slices.Contains(known, digits)
	})
}
