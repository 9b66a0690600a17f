package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inBothLanguages runs a test for each English document and its Chinese one.
func inBothLanguages(t *testing.T, test func(t *testing.T, en, zh string)) {
	t.Helper()
	for i, name := range english {
		t.Run(name, func(t *testing.T) { test(t, document(t, name), document(t, chinese[i])) })
	}
}

func TestEachLanguageBeginsWithALinkToTheOther(t *testing.T) {
	t.Parallel()
	for i, name := range english {
		en, zh := name[strings.LastIndexByte(name, '/')+1:], chinese[i][strings.LastIndexByte(chinese[i], '/')+1:]
		assert.True(t, strings.HasPrefix(document(t, name), "**English** | [简体中文]("+zh+")\n"), name)
		assert.True(t, strings.HasPrefix(document(t, chinese[i]), "[English]("+en+") | **简体中文**\n"), chinese[i])
	}
}

// So that an English anchor leads to the same place in the Chinese document.
func TestBothLanguagesHaveTheSameHeadings(t *testing.T) {
	t.Parallel()
	inBothLanguages(t, func(t *testing.T, en, zh string) {
		t.Helper()
		var want, got []string
		for _, h := range headings(en) {
			want = append(want, strings.Repeat("#", h.level)+" "+h.anchors[0])
		}
		for _, h := range headings(zh) {
			got = append(got, strings.Repeat("#", h.level)+" "+h.anchors[len(h.anchors)-1])
		}
		assert.Equal(t, want, got)
	})
}

var comment = regexp.MustCompile(`(?m)\s*(?:#|//) .*$`)

// withoutComments is what is run of a block.
func withoutComments(code string) string {
	return strings.TrimSpace(comment.ReplaceAllString(code, ""))
}

func TestBothLanguagesHaveTheSameCode(t *testing.T) {
	t.Parallel()
	inBothLanguages(t, func(t *testing.T, en, zh string) {
		t.Helper()
		want, got := blocks(en), blocks(zh)
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, want[i].language, got[i].language, want[i].text)
			if want[i].language != "text" { // pictures and output
				assert.Equal(t, withoutComments(want[i].text), withoutComments(got[i].text))
			}
		}
	})
}

var (
	codeSpan = regexp.MustCompile("`[^`]+`")
	number   = regexp.MustCompile(`\d+(?:[.,:]\d+)*`)
)

// sortedMatches are all of them, in an order that does not hang on the words'.
func sortedMatches(pattern *regexp.Regexp, text string) []string {
	found := pattern.FindAllString(text, -1)
	slices.Sort(found)
	return found
}

func TestBothLanguagesHaveTheSameTables(t *testing.T) {
	t.Parallel()
	inBothLanguages(t, func(t *testing.T, en, zh string) {
		t.Helper()
		want, got := tables(en), tables(zh)
		require.Len(t, got, len(want))
		for i := range want {
			require.Len(t, got[i].head, len(want[i].head), "%v", want[i].head)
			require.Len(t, got[i].rows, len(want[i].rows), "%v", want[i].head)
			for j, row := range want[i].rows {
				other := got[i].rows[j]
				require.Len(t, other, len(row), "%v", row)
				assert.Equal(t, sortedMatches(number, row[0]), sortedMatches(number, other[0]), "the key of %v", row)
				assert.Equal(t, sortedMatches(codeSpan, strings.Join(row, "|")), sortedMatches(codeSpan, strings.Join(other, "|")), "the code of %v", row)
			}
		}
	})
}

var link = regexp.MustCompile(`\]\([^)]+\)`)

func TestBothLanguagesHaveTheSameLinks(t *testing.T) {
	t.Parallel()
	inBothLanguages(t, func(t *testing.T, en, zh string) {
		t.Helper()
		_, en, _ = strings.Cut(en, "\n")
		_, zh, _ = strings.Cut(zh, "\n")
		toEnglish := strings.NewReplacer("README.zh-CN.md", "README.md", "recipes.zh-CN.md", "recipes.md")
		assert.Equal(t, sortedMatches(link, prose(en)), sortedMatches(link, toEnglish.Replace(prose(zh))))
	})
}

// measured is the part of the README with figures that were measured.
func measured(t *testing.T, text string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "<!-- measured: begin -->")
	require.True(t, ok)
	part, _, ok := strings.Cut(rest, "<!-- measured: end -->")
	require.True(t, ok)
	return part
}

// Number words ("two calls") are not seen; the tables have figures.
func TestBothLanguagesHaveTheSameFigures(t *testing.T) {
	t.Parallel()
	en, zh := measured(t, readme(t)), measured(t, document(t, "README.zh-CN.md"))
	assert.Equal(t, sortedMatches(number, en), sortedMatches(number, zh))
	want, got := tables(en), tables(zh)
	require.Len(t, got, len(want))
	for i := range want {
		require.Len(t, got[i].rows, len(want[i].rows))
		for j, row := range want[i].rows {
			assert.Equal(t, sortedMatches(number, strings.Join(row, "|")), sortedMatches(number, strings.Join(got[i].rows[j], "|")), "%v", row)
		}
	}
}

// A sentence that was forgotten is one of English words alone.
func TestTheChineseDocumentsAreChinese(t *testing.T) {
	t.Parallel()
	han := regexp.MustCompile(`\p{Han}`)
	for _, name := range chinese {
		text := regexp.MustCompile("`[^`\n]*`|\\([^)\n]*\\)|<[^>]*>").ReplaceAllString(prose(document(t, name)), "")
		for line := range strings.SplitSeq(text, "\n") {
			if words := regexp.MustCompile(`[A-Za-z]{2,}`).FindAllString(line, -1); len(words) > 5 {
				assert.Regexp(t, han, line, name)
			}
		}
	}
}
