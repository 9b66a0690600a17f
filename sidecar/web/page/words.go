package page

import (
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// words is the page in one language.
type words struct {
	tag           string                                  // of HTML's lang
	other         string                                  // the other language, as ?lang= has it
	toOther       string                                  // the other language, in its own words
	clock         func(t time.Time, layout string) string // in the readers' time zone
	units         status.Units
	comma, stop   string
	space         string // between two sentences
	health        map[status.Health]string
	headline      func(tally) string
	hint          func(hint.Hint) string
	memcachedUp   string
	memcachedOff  string
	memcachedNote string
	mirrorUp      string
	noAccount     string
	inDoubt       string
	docs          string // the page of the documentation that explains hints
	more          string // the text of a link to it
	anchors       anchors
	legend        legend

	age, left, renewal, by, today, published string // the names of the facts
	yes, missing, unnamed                    string
	counted, external, uncounted, unknown    string // about WeChat's own count

	memcachedDown func(since string) string
	mirrorDown    func(since string) string
	in, overdue   func(span string) string
	done          func(renewals, failures int) string
	used          func(used, limit int, ago string) string
	fetched       func(n int, span string) string
	failing       func(span, since string) string
	tried         func(ago, retry string) string // retry is "" for at once
	served        func(kind, left string) string // left is "" if there is no valid credential
	reported      func(kind string) string       // no renewal is allowed after a report
	life          func(age, whole, due string) string
	hidden        func(tally) string
	uptime        func(span string) string
}

// anchors are those of sections of docs.
type anchors struct{ outage, errcodes, inApps, notes, mirror string }

// legend has the names of the parts of a bar.
type legend struct{ age, due, reserve string }

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
