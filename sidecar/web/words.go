package web

import (
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// words is the page in one language.
type words struct {
	tag           string                 // of HTML's lang
	name          string                 // what ?lang= calls it
	other         string                 // what ?lang= calls the other language
	toOther       string                 // the other language, in its own words
	clock         func(time.Time) string // where its speakers are
	units         [4]string              // days, hours, minutes, seconds
	comma, stop   string
	health        map[Health]string
	headline      func(tally) string
	hint          func(hint.Hint) string
	memcachedUp   string
	memcachedHint string
	mirrorUp      string
	noAccount     string
	doubtful      string

	age, left, renewal, by, today, held string // the names of the facts
	yes, notHeld, nobody                string

	memcachedDown func(since string) string
	mirrorDown    func(since string) string
	in, overdue   func(span string) string
	done          func(renewals, failures int) string
	failed        func(ago, retry string) string // retry "": at once
	life          func(age, whole, due string) string
	more          func(by tally) string
	footer        func(up string) string
}

// tally counts accounts by the worst of their credentials.
type tally struct{ all, ill, failing, starting int }

func (t *tally) add(h Health) {
	t.all++
	switch h {
	case Ill:
		t.ill++
	case Failing:
		t.failing++
	case Starting:
		t.starting++
	case OK:
	}
}

// span is a duration in this language.
func (w *words) span(d time.Duration) string { return span(d, w.units, " ") }
