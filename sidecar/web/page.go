package web

import (
	"crypto/sha256"
	_ "embed" // the style
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// maxShown is how many credentials the page shows, the most urgent ones first:
// nobody reads ten thousand. The others are counted.
const maxShown = 200

//go:embed style.css
var style string

// policy lets the page do nothing but look as it does.
var policy = func() string {
	digest := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// page is the page for people.
type page struct {
	markup
	say    *words
	now    time.Time
	status Status // all but the credentials
	states []keeper.State
	outage keeper.Outage
}

// servePage is /.
func (o *ops) servePage(w http.ResponseWriter, r *http.Request) {
	now, states := o.now(), o.states()
	p := &page{say: languageOf(r), now: now, status: o.status(now, states), states: states, outage: o.memcached()}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.say.tag)
	h.Set("Vary", "Accept-Language")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	p.write()
	_, _ = w.Write(p.out.Bytes()) // who asked has gone: nobody to tell
}

func (p *page) write() {
	headline := p.say.headline(accountsOf(p.states))
	p.out.WriteString("<!DOCTYPE html>\n")
	p.begin("html", "lang", p.say.tag)
	p.begin("head")
	p.void("meta", "charset", "utf-8")
	p.void("meta", "name", "viewport", "content", "width=device-width, initial-scale=1")
	p.void("meta", "http-equiv", "refresh", "content", "10")
	p.leaf("title", joined(" · ", headline, p.status.Name, "wxsidecar"))
	p.begin("style")
	p.out.WriteString(style) // as its digest in the policy says
	p.end()
	p.end()
	p.begin("body")
	p.header(headline)
	p.credentials()
	p.footer()
	p.end()
	p.end()
}

// header is the summary: what an operator sees first.
func (p *page) header(headline string) {
	p.begin("header")
	p.begin("p", "class", "sidecar")
	p.leaf("b", "wxsidecar")
	if p.status.Name != "" {
		p.text(" " + p.status.Name)
	}
	p.end()
	p.leaf("h1", headline)
	if len(p.states) == 0 {
		p.leaf("p", p.say.noAccount)
	}
	servers := strings.Join(p.status.Memcached.Servers, p.say.comma)
	if p.status.Memcached.Up {
		p.works(p.say.memcachedUp, servers)
	} else {
		p.fails(p.say.memcachedDown(p.say.span(p.now.Sub(p.outage.Since))), servers, p.say.memcachedHint, p.status.Memcached.Error)
	}
	for _, m := range p.status.Mirrors {
		if m.Up {
			p.works(p.say.mirrorUp, m.Name)
		} else {
			p.fails(p.say.mirrorDown(p.say.span(p.now.Sub(m.DownSince))), m.Name, p.say.hint(m.Hint), m.Error)
		}
	}
	p.end()
}

// works is a line about what credentials are written to.
func (p *page) works(says, name string) {
	p.begin("p", "class", "memcached ok")
	p.text(says + " ")
	p.leaf("span", name)
	p.end()
}

// fails is the same where it does not work, with what to do.
func (p *page) fails(says, name, hint, why string) {
	p.begin("div", "class", "memcached ill")
	p.begin("p")
	p.leaf("strong", says)
	p.text(" ")
	p.leaf("span", name)
	p.end()
	p.leaf("p", hint)
	p.leaf("p", why, "class", "why")
	p.end()
}

// credentials are the most urgent ones in full, the others as a number.
func (p *page) credentials() {
	shown := slices.Clone(p.states)
	slices.SortStableFunc(shown, func(a, b keeper.State) int { return healthOf(&a).Compare(healthOf(&b)) })
	rest := shown[min(len(shown), maxShown):]
	shown = shown[:min(len(shown), maxShown)]
	p.begin("main")
	for i := range shown {
		p.credential(&shown[i])
	}
	if len(rest) > 0 {
		var t tally
		for i := range rest {
			t.add(healthOf(&rest[i]))
		}
		p.begin("p", "class", "more")
		p.text(p.say.more(t) + " ")
		p.leaf("a", "status.json", "href", "status.json")
		p.text(p.say.stop)
		p.end()
	}
	p.end()
}

func (p *page) credential(s *keeper.State) {
	health := healthOf(s)
	p.begin("article", "class", string(health))
	p.begin("header")
	p.leaf("h2", s.AppID)
	p.leaf("span", string(s.Kind), "class", "kind")
	if s.Valid {
		p.leaf("code", s.Fingerprint)
	}
	p.leaf("strong", p.say.health[health], "class", "health")
	p.end()
	if s.Err != nil {
		p.trouble(s)
	}
	if s.Valid {
		p.life(p.say, s)
	}
	if s.InDoubt {
		p.leaf("p", p.say.doubtful, "class", "note")
	}
	p.facts(s)
	p.end()
}

// trouble is the error: first what to do about it, then what WeChat said.
func (p *page) trouble(s *keeper.State) {
	e := credentialStatus(p.now, s).Error
	p.begin("div", "class", "trouble")
	if hint := p.say.hint(s.Err.Hint); hint != "" {
		p.leaf("p", hint, "class", "hint")
	}
	p.begin("p", "class", "why")
	p.leaf("b", "errcode "+strconv.Itoa(e.Code))
	p.text(" " + e.Message)
	p.end()
	retry := ""
	if e.RetryInSeconds > 0 {
		retry = p.say.span(time.Duration(e.RetryInSeconds) * time.Second)
	}
	p.leaf("p", p.say.failed(p.say.span(p.now.Sub(s.Failed)), retry), "class", "when")
	p.end()
}

// facts are the figures.
func (p *page) facts(s *keeper.State) {
	p.begin("dl")
	if s.Valid {
		p.fact(p.say.age, p.say.span(s.Age))
		due := p.say.in(p.say.span(s.RenewalIn))
		if s.RenewalIn < 0 {
			due = p.say.overdue(p.say.span(s.RenewalIn))
		}
		p.fact(p.say.renewal, due)
		p.fact(p.say.left, p.say.span(s.Left))
		by := s.By
		if by == "" {
			by = p.say.nobody
		}
		p.fact(p.say.by, by)
	}
	today := credentialStatus(p.now, s).Today
	p.fact(p.say.today, p.say.done(today.Renewals, today.Failures))
	if s.Valid {
		held := p.say.notHeld
		if s.Published {
			held = p.say.yes
		}
		p.fact(p.say.held, held)
	}
	p.end()
}

func (p *page) fact(name, value string) {
	p.begin("div")
	p.leaf("dt", name)
	p.leaf("dd", value)
	p.end()
}

func (p *page) footer() {
	p.begin("footer")
	p.begin("p")
	p.text(joined(" · ", p.say.clock(p.now), p.say.footer(p.say.span(p.now.Sub(p.status.Started)))))
	p.end()
	p.begin("p")
	p.text(joined(" ", "wxsidecar", p.status.Version) + " · ")
	for _, path := range []string{"status.json", "metrics", "readyz"} {
		p.leaf("a", path, "href", path)
		p.text(" · ")
	}
	p.leaf("a", p.say.toOther, "href", "?lang="+p.say.other, "lang", languages[p.say.other].tag)
	p.end()
	p.end()
}

// accountsOf counts accounts by the worst of their credentials, which stand one
// after the other.
func accountsOf(states []keeper.State) tally {
	var t tally
	for i := 0; i < len(states); {
		worst, appID := OK, states[i].AppID
		for ; i < len(states) && states[i].AppID == appID; i++ {
			if h := healthOf(&states[i]); h.Compare(worst) < 0 {
				worst = h
			}
		}
		t.add(worst)
	}
	return t
}

// joined joins what is not empty.
func joined(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), separator)
}
