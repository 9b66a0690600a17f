// Package page writes the status page: /status.json for people, in English or Chinese.
// It needs no script, loads nothing, and its policy allows neither.
package page

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // the style
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// maxShown is how many credentials the page shows, the most urgent ones first. It
// counts the others.
const maxShown = 200

// repository is where links to the documentation lead. Only a click loads it.
const repository = "https://github.com/wxsidecar/wxsidecar/blob/main/"

//go:embed style.css
var style string

// policy forbids scripts, and whatever the page does not contain itself.
var policy = func() string {
	digest := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// page is one page in one language.
type page struct {
	markup
	*words
	status *status.Sidecar
}

// Write answers r with the page about s. The query lang or the header Accept-Language
// chooses the language. It reorders the credentials of s.
func Write(w http.ResponseWriter, r *http.Request, s *status.Sidecar) {
	p := &page{words: languageOf(r), status: s}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.tag)
	h.Set("Vary", "Accept-Language")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	p.write()
	_, _ = w.Write(p.out.Bytes()) // if it fails, nobody reads
}

func (p *page) write() {
	headline := p.headline(accounts(p.status.Credentials))
	p.out.WriteString("<!DOCTYPE html>\n")
	p.begin("html", "lang", p.tag)
	p.begin("head")
	p.void("meta", "charset", "utf-8")
	p.void("meta", "name", "viewport", "content", "width=device-width, initial-scale=1")
	p.void("meta", "http-equiv", "refresh", "content", "10")
	p.leaf("title", joined(" · ", headline, p.status.Name, "wxsidecar"))
	p.begin("style")
	p.out.WriteString(style) // unescaped, as its digest in the policy says
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
	if len(p.status.Credentials) == 0 {
		p.leaf("p", p.noAccount)
	}
	m := p.status.Memcached
	servers := strings.Join(m.Servers, p.comma)
	switch {
	case m.Off():
		p.works(p.memcachedOff, "")
	case m.Up:
		p.works(p.memcachedUp, servers)
	default:
		p.fails(p.memcachedDown(p.since(m.DownSince)), servers, p.hint(m.Hint)+p.memcachedNote, m.Error, p.anchors.outage)
	}
	for _, m := range p.status.Mirrors {
		if m.Up {
			p.works(p.mirrorUp, m.Name)
		} else {
			p.fails(p.mirrorDown(p.since(m.DownSince)), m.Name, p.hint(m.Hint), m.Error, p.anchors.mirror)
		}
	}
	for _, n := range p.status.Notes {
		p.begin("div", "class", "store remark")
		p.leaf("p", p.hint(n.Text))
		p.advice(p.hint(n.Hint), p.anchors.notes)
		p.end()
	}
	p.end()
}

// since returns the time since t in words.
func (p *page) since(t time.Time) string { return p.units.Span(p.status.Now.Sub(t)) }

// works writes a line about a store that works.
func (p *page) works(says, name string) {
	p.begin("p", "class", "store ok")
	p.text(says + " ")
	p.leaf("span", name)
	p.end()
}

// fails writes what fails about a store, and what to do.
func (p *page) fails(says, name, hint, why, anchor string) {
	p.begin("div", "class", "store failing")
	p.begin("p")
	p.leaf("strong", says)
	p.text(" ")
	p.leaf("span", name)
	p.end()
	p.advice(hint, anchor)
	p.leaf("p", why, "class", "why")
	p.end()
}

// credentials writes the most urgent ones in full, and counts the others.
func (p *page) credentials() {
	all := p.status.Credentials
	slices.SortStableFunc(all, func(a, b status.Credential) int { return a.State.Compare(b.State) })
	shown := min(len(all), maxShown)
	p.begin("main")
	if slices.ContainsFunc(all[:shown], func(c status.Credential) bool { return c.Valid }) {
		p.key()
	}
	for i := range all[:shown] {
		p.credential(&all[i])
	}
	if hidden := all[shown:]; len(hidden) > 0 {
		var t tally
		for i := range hidden {
			t.add(hidden[i].State)
		}
		p.begin("p", "class", "more")
		p.text(p.hidden(t) + " ")
		p.leaf("a", "status.json", "href", "status.json")
		p.text(p.stop)
		p.end()
	}
	p.end()
}

func (p *page) credential(c *status.Credential) {
	p.begin("article", "class", string(c.State))
	p.begin("header")
	p.leaf("h2", c.AppID)
	p.leaf("span", c.Kind, "class", "kind")
	if c.Valid {
		p.leaf("code", c.Fingerprint)
	}
	p.leaf("strong", p.health[c.State], "class", "health")
	p.end()
	if c.Error != nil {
		p.failure(c)
	}
	if c.Valid {
		p.bar(p.words, c)
	}
	if c.InDoubt {
		p.leaf("p", p.inDoubt, "class", "note")
	}
	p.facts(c)
	p.end()
}

// failure writes first what to do, then what WeChat said.
func (p *page) failure(c *status.Credential) {
	e, left, retry, layout := c.Error, "", "", time.TimeOnly
	if p.status.Now.Sub(e.Since) >= 24*time.Hour {
		layout = time.DateTime
	}
	if c.Valid {
		left = p.seconds(c.ExpiresInSeconds)
	}
	if e.RetryInSeconds > 0 {
		retry = p.seconds(e.RetryInSeconds)
	}
	p.begin("div", "class", "failure")
	effect, anchor := p.served(c.Kind, left), p.anchors.errcodes
	if c.Valid && e.Code == http.StatusTooManyRequests { // only a report makes a renewal before its time
		effect, anchor = p.reported(c.Kind), p.anchors.inApps
	}
	p.leaf("p", p.failing(p.since(e.Since), p.clock(e.Since, layout))+p.space+effect, "class", "effect")
	p.advice(p.hint(e.Hint), anchor)
	p.begin("p", "class", "why")
	p.leaf("b", "errcode "+strconv.Itoa(e.Code))
	p.text(" " + e.Message)
	p.end()
	p.leaf("p", p.tried(p.since(e.At), retry), "class", "when")
	p.end()
}

// advice writes what to do, with a link to the documentation.
func (p *page) advice(hint, anchor string) {
	if hint == "" {
		return
	}
	p.begin("p", "class", "hint")
	p.text(hint + " ")
	p.leaf("a", p.more, "href", p.docs+anchor)
	p.end()
}

// facts writes the figures.
func (p *page) facts(c *status.Credential) {
	p.begin("dl")
	if c.Valid {
		p.fact(p.age, p.seconds(c.AgeSeconds))
		due := p.in(p.seconds(c.RenewalInSeconds))
		if c.RenewalInSeconds < 0 {
			due = p.overdue(p.seconds(c.RenewalInSeconds))
		}
		p.fact(p.renewal, due)
		p.fact(p.left, p.seconds(c.ExpiresInSeconds))
		p.fact(p.by, cmp.Or(c.RenewedBy, p.unnamed))
	}
	p.fact(p.today, p.done(c.Today.Renewals, c.Today.Failures))
	p.quota(c.Quota)
	if c.Valid && !p.status.Memcached.Off() {
		published := p.missing
		if c.Published {
			published = p.yes
		}
		p.fact(p.published, published)
	}
	p.end()
}

// quota writes WeChat's own count.
func (p *page) quota(q *status.Quota) {
	if q == nil {
		return
	}
	if q.Limit == 0 {
		p.fact(p.counted, p.uncounted)
		return
	}
	p.fact(p.counted, p.used(q.Used, q.Limit, p.since(q.At)))
	if q.External != nil {
		p.fact(p.external, p.fetched(*q.External, p.units.Span(q.At.Sub(q.Since))))
	} else {
		p.fact(p.external, p.unknown)
	}
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
	p.text(joined(" · ", p.clock(p.status.Now, time.TimeOnly), p.uptime(p.since(p.status.Started))))
	p.end()
	p.begin("p")
	p.text(joined(" ", "wxsidecar", p.status.Version) + " · ")
	for _, path := range []string{"status.json", "metrics", "readyz"} {
		p.leaf("a", path, "href", path)
		p.text(" · ")
	}
	p.leaf("a", p.toOther, "href", "?lang="+p.other, "lang", languages[p.other].tag)
	p.end()
	p.end()
}

// joined joins the parts that are not empty.
func joined(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), separator)
}
