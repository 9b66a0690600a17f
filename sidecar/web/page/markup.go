package page

import (
	"bytes"
	"html"

	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// markup writes HTML. It escapes texts and the values of attributes.
type markup struct {
	out  bytes.Buffer
	open []string
}

// begin opens an element. attrs alternates names and values.
func (m *markup) begin(name string, attrs ...string) {
	m.start(name, attrs)
	m.open = append(m.open, name)
}

// end closes the innermost open element.
func (m *markup) end() {
	last := len(m.open) - 1
	m.out.WriteString("</" + m.open[last] + ">")
	m.open = m.open[:last]
	m.newline()
}

// leaf writes an element that holds text alone.
func (m *markup) leaf(name, text string, attrs ...string) {
	m.begin(name, attrs...)
	m.text(text)
	m.end()
}

// void writes an element without an end tag.
func (m *markup) void(name string, attrs ...string) {
	m.start(name, attrs)
	m.newline()
}

// newline ends the line in elements that ignore white space, for people who read the
// source.
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

func (m *markup) start(name string, attrs []string) {
	m.out.WriteString("<" + name)
	for i := 0; i+1 < len(attrs); i += 2 {
		m.out.WriteString(" " + attrs[i] + `="` + escaped(attrs[i+1]) + `"`)
	}
	m.out.WriteByte('>')
}

// escaped returns s as HTML text, which can stand between tags and between quotes.
func escaped(s string) string { return html.EscapeString(status.Printable(s)) }
