package page

import (
	"strconv"

	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// bar draws a credential's time from its issue to its expiry: what has passed, when
// the renewal is due, and the reserve after that. The style has its colours.
func (m *markup) bar(w *words, c *status.Credential) {
	age, whole := c.AgeSeconds, c.AgeSeconds+c.ExpiresInSeconds
	due := min(max(0, age+c.RenewalInSeconds), whole)
	passed, dueAt := percent(age, whole), percent(due, whole)
	m.begin("svg", "class", "bar", "role", "img", "width", "100%", "height", "16",
		"aria-label", w.life(w.seconds(age), w.seconds(whole), w.seconds(due)))
	m.leaf("rect", "", "class", "whole", "y", "5", "width", "100%", "height", "6", "rx", "3")
	m.leaf("rect", "", "class", "reserve", "x", dueAt, "y", "5", "width", percent(whole-due, whole), "height", "6", "rx", "3")
	m.leaf("rect", "", "class", "passed", "y", "5", "width", passed, "height", "6", "rx", "3")
	m.leaf("rect", "", "class", "due", "x", dueAt, "y", "1", "width", "2", "height", "14", "rx", "1")
	m.leaf("rect", "", "class", "expiry", "x", "100%", "y", "1", "width", "2", "height", "14", "rx", "1")
	m.leaf("circle", "", "class", "now", "cx", passed, "cy", "8", "r", "5")
	m.end()
}

// key explains the parts of the bars.
func (p *page) key() {
	p.begin("p", "class", "key")
	for _, part := range [...][2]string{{"passed", p.legend.age}, {"due", p.legend.due}, {"reserve", p.legend.reserve}} {
		p.begin("span")
		p.leaf("i", "", "class", part[0])
		p.text(part[1])
		p.end()
	}
	p.end()
}

// percent returns a part of a whole, to a tenth of a percent.
func percent(part, whole int) string {
	if whole <= 0 {
		return "0%"
	}
	return strconv.FormatFloat(min(100, max(0, 100*float64(part)/float64(whole))), 'f', 1, 64) + "%"
}
