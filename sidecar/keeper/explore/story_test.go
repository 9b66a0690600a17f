package explore

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// story prints what happens in a run, for people. A sidecar that reads the same again
// is not mentioned.
type story struct {
	mu   sync.Mutex
	out  io.Writer
	last map[string]string // the last line of each sidecar, without the time
}

// doubtIn is what differs if the same record is read later.
var doubtIn = regexp.MustCompile(`in doubt in -?[0-9]+ s`)

// repeats reports whether a line says the same as the last one of this sidecar, and
// remembers it. It is called with mu held.
func (s *story) repeats(who, text string) bool {
	text = doubtIn.ReplaceAllString(text, "in doubt")
	again := strings.HasPrefix(text, "reads ") && s.last[who] == text
	if s.last == nil {
		s.last = map[string]string{}
	}
	s.last[who] = text
	return again
}

// note prints something that happened.
func (w *world) note(who, format string, args ...any) {
	if w.story == nil {
		return
	}
	w.story.mu.Lock()
	defer w.story.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if w.story.repeats(who, text) {
		return
	}
	indent := ""
	if who > "A" && len(who) == 1 {
		indent = strings.Repeat(" ", 40*int(who[0]-'A'))
	}
	if who != "" {
		who += ": "
	}
	_, _ = fmt.Fprintf(w.story.out, "%9.3f  %s%s%s\n", time.Since(w.begin).Seconds(), indent, who, text)
}

// line returns an operation and its result in words.
func (w *world) line(o *op, result string) string {
	if w.story == nil {
		return ""
	}
	result = strings.TrimSpace(result)
	switch o.verb {
	case "request":
		return "request to WeChat: " + result
	case "answer":
		return "gets the answer: " + result
	case "gets", "get":
		var all []string
		for _, key := range fields(o.key) {
			item, ok := w.memcached.Peek(key)
			if !ok {
				all = append(all, short(key)+": none")
				continue
			}
			all = append(all, short(key)+" = "+w.describe(key, item.Value))
		}
		return "reads " + strings.Join(all, ", ")
	case "incr", "delete":
		return o.verb + " " + short(o.key) + " → " + result
	}
	return o.verb + " " + short(o.key) + " = " + w.describe(o.key, valueOf(o)) + " → " + result
}

// describe returns a value in words.
func (w *world) describe(key, value string) string {
	var r memcache.Record
	if key != recordKey || json.Unmarshal([]byte(value), &r) != nil {
		return w.names.plain(nil, value)
	}
	words := []string{w.names.of(r.Token)}
	if r.Token == "" {
		words = []string{"(no token)"}
	}
	words = append(words, fmt.Sprintf("number %d", r.Number-w.begin.UnixMilli()))
	if r.Doubt != 0 {
		words = append(words, fmt.Sprintf("in doubt in %d s", r.Doubt-time.Now().Unix()))
	}
	if r.Claim != "" {
		words = append(words, "claim "+w.names.plain(nil, r.Claim))
	}
	if r.Reported != "" {
		words = append(words, "reported "+w.names.plain(nil, r.Reported))
	}
	return strings.Join(words, ", ")
}

// short returns a key without the AppID.
func short(key string) string {
	if key == entryKey {
		return "entry"
	}
	return strings.TrimPrefix(key, appID+":")
}

func fields(keys string) []string { return strings.Fields(keys) }
func hasSpace(keys string) bool   { return strings.Contains(keys, " ") }
