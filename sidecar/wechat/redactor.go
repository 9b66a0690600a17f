package wechat

import (
	"encoding/base64"
	"html"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	// maxMessage bounds an error's text in bytes. Logs and memcached contain it.
	maxMessage = 512
	// minRun is the shortest part of a secret, in bytes, that is hidden. Shorter
	// secrets are hidden as a whole.
	minRun   = 8
	redacted = "[redacted]"
)

var (
	// secretParam matches a parameter whose name says that its value is a secret:
	// plain, URL-encoded or JSON.
	secretParam = compiled(`(?i)((?:secret|access_token|ticket)(?:=|%3D|%253D|"\s*:\s*"))[^&\s"]+`)
	// userinfo matches a user with a password in a URL, for example of a proxy.
	userinfo = compiled(`(://)[^/@\s"]+@`)
	// longRun matches what is as long as a secret, with the name before it. See errmsg.
	longRun = compiled(`(?:(?:rid|req_id): ?|mmbizurl\.cn)?[A-Za-z0-9_%&;#\\+/=-]{24,}`)
	// publicRun matches those that are no secret: ids of requests, and WeChat's links.
	publicRun = compiled(`^(?:rid: ?[0-9A-Za-z]{1,16}(?:-[0-9A-Za-z]{1,16}){1,4}|req_id: ?[0-9A-Za-z_-]{1,31}|mmbizurl\.cn/[0-9A-Za-z/_-]{1,40})$`)
	// rid matches WeChat's id of a request.
	rid = compiled(`rid: ?[0-9A-Za-z-]{1,64}`)
)

// compiled compiles a pattern when it is first used. These take 1.5 ms and 200 kB, and a
// process whose requests succeed needs none.
func compiled(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// redactor has every encoding of the secrets that must not be shown.
type redactor []string

// hideOf returns a redactor for these secrets.
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

// message returns a received text that is safe to show: printable, bounded, without
// secrets and parts of them. It keeps the rid.
func (r redactor) message(text string) string {
	text = secretParam().ReplaceAllString(r.hide(printable(text)), "${1}"+redacted)
	text = strings.TrimSpace(userinfo().ReplaceAllString(text, "${1}"+redacted+"@"))
	if len(text) <= maxMessage {
		return text
	}
	tail := rid().FindString(text)
	if tail == "" {
		return bounded(text, maxMessage)
	}
	return bounded(text, maxMessage-len(tail)-1) + " " + tail
}

// errmsg returns WeChat's errmsg, safe to show. Its texts change, and can quote a secret
// that this request does not have, or a known one in another encoding. So every long run
// of the characters of credentials and encodings is replaced too.
func (r redactor) errmsg(text string) string {
	return r.message(longRun().ReplaceAllStringFunc(printable(text), func(run string) string {
		if publicRun().MatchString(run) {
			return run
		}
		return redacted
	}))
}

// hide replaces every run of at least minRun bytes that is also in a secret.
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

// commonRun returns the length of the longest prefix of text that form contains.
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

// lower changes the case of ASCII letters only, so that offsets stay the same.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// printable replaces everything that could disturb a log or a terminal by a space.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unprintable(c) {
			return ' '
		}
		return c
	}, s)
}

func unprintable(c rune) bool { return c == utf8.RuneError || !unicode.IsPrint(c) }

// bounded returns at most n bytes of printable text, cut between two characters.
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
