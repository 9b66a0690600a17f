package main

import (
	"maps"
	"regexp"
	"strconv"
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
	number   = regexp.MustCompile(`\d+(?:[.,:]\d+)*(?: (?:million|[mµn]?s|[kKMG]i?B(?:/s)?)\b| (?:万|秒))?`)
)

// codes are the pieces of code in a text.
func codes(text string) []string { return codeSpan.FindAllString(text, -1) }

// figures are the numbers in a text with their units, as both languages would
// write them; Chinese counts in ten thousands.
func figures(text string) []string {
	found := number.FindAllString(text, -1)
	for i, n := range found {
		digits, unit, _ := strings.Cut(strings.ReplaceAll(n, ",", ""), " ")
		value, err := strconv.ParseFloat(digits, 64)
		switch {
		case unit == "s", unit == "秒": // "30 idle seconds" are 30 秒
			found[i] = digits
		case unit == "million" && err == nil:
			found[i] = strconv.FormatFloat(value*1e6, 'f', -1, 64)
		case unit == "万" && err == nil:
			found[i] = strconv.FormatFloat(value*1e4, 'f', -1, 64)
		default:
			found[i] = strings.TrimSpace(digits + " " + unit)
		}
	}
	return found
}

// assertSameWords claims that both have the same ones as often, in whatever order.
func assertSameWords(t *testing.T, want, got []string, where string) {
	t.Helper()
	count := map[string]int{}
	for _, word := range want {
		count[word]++
	}
	for _, word := range got {
		count[word]--
	}
	maps.DeleteFunc(count, func(_ string, n int) bool { return n == 0 })
	assert.Empty(t, count, "how many times more in English than in Chinese: %s", where)
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
				require.Len(t, got[i].rows[j], len(row), "%v", row)
				row, other := strings.Join(row, " | "), strings.Join(got[i].rows[j], " | ")
				assertSameWords(t, figures(row), figures(other), row)
				assertSameWords(t, codes(row), codes(other), row)
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
		toEnglish := strings.NewReplacer(".zh-CN.", ".")
		assertSameWords(t, link.FindAllString(prose(en), -1), link.FindAllString(toEnglish.Replace(prose(zh)), -1), "links")
	})
}

var anchorLine = regexp.MustCompile(`(?m)^<a id=.*$`)

func TestBothLanguagesHaveTheSameFigures(t *testing.T) {
	t.Parallel()
	inBothLanguages(t, func(t *testing.T, en, zh string) {
		t.Helper()
		zh = anchorLine.ReplaceAllString(zh, "")
		assertSameWords(t, figures(prose(en)), figures(prose(zh)), "figures")
	})
}

// A sentence that was forgotten is one of English words alone; units are none.
func TestTheChineseDocumentsAreChinese(t *testing.T) {
	t.Parallel()
	han := regexp.MustCompile(`\p{Han}`)
	for _, name := range chinese {
		text := regexp.MustCompile("`[^`\n]*`|\\([^)\n]*\\)|<[^>]*>").ReplaceAllString(prose(document(t, name)), "")
		for line := range strings.SplitSeq(text, "\n") {
			if words := regexp.MustCompile(`[A-Za-z]{3,}`).FindAllString(line, -1); len(words) > 5 {
				assert.Regexp(t, han, line, name)
			}
		}
	}
}
