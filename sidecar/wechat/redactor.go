package wechat

import (
	"encoding/base64"
	"html"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxMessage bounds an error's text, in bytes: it goes into logs and into
	// memcached.
	maxMessage = 512
	// minRun is how many bytes of a secret in a row are too many to show. Shorter
	// secrets are hidden where they stand whole.
	minRun   = 8
	redacted = "[redacted]"
)

var (
	// secretParam is a parameter that holds a secret by its name, plain,
	// URL-encoded or as JSON.
	secretParam = regexp.MustCompile(`(?i)((?:secret|access_token|ticket)(?:=|%3D|%253D|"\s*:\s*"))[^&\s"]+`)
	// userinfo is a user with a password in a URL: a proxy's, most likely.
	userinfo = regexp.MustCompile(`(://)[^/@\s"]+@`)
	// rid is WeChat's name for a request.
	rid = regexp.MustCompile(`rid: ?[0-9A-Za-z-]{1,64}`)
)

// redactor knows every spelling of what must not be shown.
type redactor []string

// hideOf makes a redactor for some secrets.
func hideOf(secrets ...string) redactor {
	var r redactor
	for _, s := range secrets {
		if s == "" {
			continue
		}
		query := url.QueryEscape(s)
		for _, form := range []string{
			s, query, url.PathEscape(s), url.QueryEscape(query), html.EscapeString(s),
			base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s)),
		} {
			r = append(r, lower(form))
		}
	}
	return r
}

// message makes a stranger's text fit to be shown: no secret nor a part of one,
// printable, bounded, with its rid.
func (r redactor) message(text string) string {
	text = secretParam.ReplaceAllString(r.hide(printable(text)), "${1}"+redacted)
	text = strings.TrimSpace(userinfo.ReplaceAllString(text, "${1}"+redacted+"@"))
	if len(text) <= maxMessage {
		return text
	}
	tail := rid.FindString(text)
	if tail == "" {
		return bounded(text, maxMessage)
	}
	return bounded(text, maxMessage-len(tail)-1) + " " + tail
}

// hide replaces every run of at least minRun bytes that the text has in common
// with a secret.
func (r redactor) hide(text string) string {
	low := lower(text)
	var out strings.Builder
	for i := 0; i < len(text); {
		end := i
		for _, form := range r {
			if n := commonRun(low[i:], form); n >= min(minRun, len(form)) {
				end = max(end, i+n)
			}
		}
		if end == i {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(redacted)
		i = end
	}
	return out.String()
}

// commonRun is the length of the longest beginning of text that stands somewhere
// in form.
func commonRun(text, form string) int {
	if shortest := min(minRun, len(form)); len(text) < shortest || !strings.Contains(form, text[:shortest]) {
		return 0
	}
	n := min(minRun, len(form))
	for n < len(text) && n < len(form) && strings.Contains(form, text[:n+1]) {
		n++
	}
	return n
}

// lower changes the case of ASCII letters only, so that offsets stay.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// printable puts a space for everything that could disturb a log or a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unprintable(c) {
			return ' '
		}
		return c
	}, s)
}

func unprintable(c rune) bool { return c == utf8.RuneError || !unicode.IsPrint(c) }

// bounded cuts printable text to n bytes at most, between two characters.
func bounded(s string, n int) string {
	s = printable(s)
	if len(s) <= n {
		return s
	}
	const more = "…"
	n -= len(more)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + more
}
