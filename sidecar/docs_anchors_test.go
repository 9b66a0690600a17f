package main

import (
	"regexp"
	"strings"
	"unicode"
)

// heading is one of a document's, with the anchors that lead to it.
type heading struct {
	level   int
	text    string
	anchors []string
}

var headingLine = regexp.MustCompile(`(?m)^(?:<a id="([a-z0-9-]+)"></a>\n+)?(#+) (.*)$`)

func headings(text string) []heading {
	var all []heading
	for _, found := range headingLine.FindAllStringSubmatch(prose(text), -1) {
		h := heading{level: len(found[2]), text: found[3], anchors: []string{slug(found[3])}}
		if found[1] != "" {
			h.anchors = append(h.anchors, found[1])
		}
		all = append(all, h)
	}
	return all
}

// slug is the anchor that GitHub gives a heading.
func slug(heading string) string {
	var s strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			s.WriteRune(r)
		case r == ' ':
			s.WriteRune('-')
		}
	}
	return s.String()
}

// anchors are all that a link may name.
func anchors(text string) []string {
	var all []string
	for _, h := range headings(text) {
		all = append(all, h.anchors...)
	}
	return all
}
