package main

import (
	"fmt"
	"strings"
)

// words are what the page says, in its two languages.
type words struct{ en, zh string }

// language is one of the page's.
type language struct {
	page string // its file
	of   func(words) string
}

var languages = []language{
	{"chaos.md", func(w words) string { return w.en }},
	{"chaos.zh-CN.md", func(w words) string { return w.zh }},
}

// same is what both languages write alike.
func same(text string) words { return words{text, text} }

// filled fills in what both have a place for.
func (w words) filled(args ...any) words {
	return words{fmt.Sprintf(w.en, args...), fmt.Sprintf(w.zh, args...)}
}

// and is w and then more.
func (w words) and(more words) words { return words{w.en + more.en, w.zh + more.zh} }

// list is all of them, one after the other.
func list(all []words, in language) string {
	texts := make([]string, len(all))
	for i, w := range all {
		texts[i] = in.of(w)
	}
	return strings.Join(texts, in.of(words{", ", "、"}))
}

// The six promises of the README.
var (
	oneCall        = words{"One call", "只调一次"}
	neverDead      = words{"Never dead", "绝不失效"}
	neverBackwards = words{"Never backwards", "绝不倒退"}
	neverNothing   = words{"Never nothing", "绝不落空"}
	neverLeaked    = words{"Never leaked", "绝不泄露"}
	bounded        = words{"Bounded", "次数有限"}
)
