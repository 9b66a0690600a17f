package web

import (
	"bytes"
	"html"
	"strings"
	"unicode"
)

// markup writes HTML. Whatever text and values of attributes it is given are
// escaped; names of elements and attributes are the program's own.
type markup struct {
	out  bytes.Buffer
	open []string
}

// begin opens an element. attrs are names and values in turn.
func (m *markup) begin(name string, attrs ...string) {
	m.tag(name, attrs)
	m.open = append(m.open, name)
}

// end closes the element that was opened last.
func (m *markup) end() {
	last := len(m.open) - 1
	m.out.WriteString("</" + m.open[last] + ">")
	m.open = m.open[:last]
	m.newline()
}

// leaf is an element with nothing but text in it.
func (m *markup) leaf(name, text string, attrs ...string) {
	m.begin(name, attrs...)
	m.text(text)
	m.end()
}

// void is an element without an end.
func (m *markup) void(name string, attrs ...string) {
	m.tag(name, attrs)
	m.newline()
}

// newline ends the line within elements where white space means nothing, so that
// people can read the source.
func (m *markup) newline() {
	if len(m.open) == 0 {
		m.out.WriteByte('\n')
		return
	}
	switch m.open[len(m.open)-1] {
	case "html", "head", "body", "header", "main", "footer", "article", "dl", "svg":
		m.out.WriteByte('\n')
	}
}

func (m *markup) text(s string) { m.out.WriteString(escaped(s)) }

func (m *markup) tag(name string, attrs []string) {
	m.out.WriteString("<" + name)
	for i := 0; i+1 < len(attrs); i += 2 {
		m.out.WriteString(" " + attrs[i] + `="` + escaped(attrs[i+1]) + `"`)
	}
	m.out.WriteByte('>')
}

// escaped is text that means nothing but itself in HTML, between tags and
// between quotes.
func escaped(s string) string { return html.EscapeString(Printable(s)) }

// Printable is text in which what cannot be seen, moves a cursor or turns the
// direction of what follows is a replacement character: some of it is what
// strangers wrote into memcached, and must not forge what people read.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
