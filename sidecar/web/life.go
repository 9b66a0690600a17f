package web

import (
	"strconv"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// life draws the life of a credential from its issue to its death: what is
// spent, when it is due, and the reserve after that. Its colours are the style's.
func (m *markup) life(w *words, s *keeper.State) {
	whole := s.Age + s.Left
	due := min(max(0, s.Age+s.RenewalIn), whole)
	spent, dueAt := percent(s.Age, whole), percent(due, whole)
	m.begin("svg", "class", "life", "role", "img", "width", "100%", "height", "16",
		"aria-label", w.life(w.span(s.Age), w.span(whole), w.span(due)))
	m.leaf("rect", "", "class", "rest", "y", "5", "width", "100%", "height", "6", "rx", "3")
	m.leaf("rect", "", "class", "reserve", "x", dueAt, "y", "5", "width", percent(whole-due, whole), "height", "6", "rx", "3")
	m.leaf("rect", "", "class", "spent", "y", "5", "width", spent, "height", "6", "rx", "3")
	m.leaf("rect", "", "class", "due", "x", dueAt, "y", "1", "width", "2", "height", "14", "rx", "1")
	m.leaf("rect", "", "class", "death", "x", "100%", "y", "1", "width", "2", "height", "14", "rx", "1")
	m.leaf("circle", "", "class", "now", "cx", spent, "cy", "8", "r", "5")
	m.end()
}

// percent is a part of a whole, to a tenth of a percent.
func percent(part, whole time.Duration) string {
	if whole <= 0 {
		return "0%"
	}
	return strconv.FormatFloat(min(100, max(0, 100*part.Seconds()/whole.Seconds())), 'f', 1, 64) + "%"
}
