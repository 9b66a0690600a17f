package page

import (
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// words is the page in one language.
type words struct {
	tag           string                 // of HTML's lang
	other         string                 // the other language, as ?lang= has it
	toOther       string                 // the other language, in its own words
	clock         func(time.Time) string // in the readers' time zone
	units         status.Units
	comma, stop   string
	health        map[status.Health]string
	headline      func(tally) string
	hint          func(hint.Hint) string
	memcachedUp   string
	memcachedNote string
	mirrorUp      string
	noAccount     string
	inDoubt       string

	age, left, renewal, by, today, published string // the names of the facts
	yes, missing, unnamed                    string

	memcachedDown func(since string) string
	mirrorDown    func(since string) string
	in, overdue   func(span string) string
	done          func(renewals, failures int) string
	failed        func(ago, retry string) string // retry is "" for at once
	life          func(age, whole, due string) string
	more          func(tally) string
	uptime        func(span string) string
}

// seconds returns a number of seconds in words.
func (w *words) seconds(n int) string { return w.units.Span(time.Duration(n) * time.Second) }

// tally counts accounts, or credentials, by their health.
type tally struct{ all, unavailable, failing, starting int }

func (t *tally) add(h status.Health) {
	t.all++
	switch h {
	case status.Unavailable:
		t.unavailable++
	case status.Failing:
		t.failing++
	case status.Starting:
		t.starting++
	case status.OK:
	}
}

// accounts counts accounts by the worst of their credentials, which are adjacent.
func accounts(all []status.Credential) tally {
	var t tally
	for i := 0; i < len(all); {
		worst, appID := status.OK, all[i].AppID
		for ; i < len(all) && all[i].AppID == appID; i++ {
			if all[i].State.Compare(worst) < 0 {
				worst = all[i].State
			}
		}
		t.add(worst)
	}
	return t
}
