package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// narrator tells what happens, one line each, with a clock.
type narrator struct {
	mu     sync.Mutex // guards out
	out    io.Writer
	start  time.Time
	colour bool
}

// newNarrator uses colour on a terminal only.
func newNarrator(out io.Writer, environ []string) *narrator {
	n := &narrator{out: out, start: time.Now()}
	if file, ok := out.(*os.File); ok && !isSet(environ, "NO_COLOR") {
		info, err := file.Stat()
		n.colour = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return n
}

func isSet(environ []string, name string) bool {
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok && value != "" {
			return true
		}
	}
	return false
}

// colours of those who act, as the terminal numbers them.
var colours = map[string]string{
	"script": "1", "stranger": "31", "memcached": "35",
	"sidecar a": "36", "sidecar b": "34", "app a": "32", "app b": "33",
}

// say tells one thing that somebody did.
func (n *narrator) say(who, format string, args ...any) {
	name := fmt.Sprintf("%-9s", who)
	if c, ok := colours[who]; ok && n.colour {
		name = "\x1b[" + c + "m" + name + "\x1b[0m"
	}
	n.plain("%5.1f s  %s  %s", time.Since(n.start).Seconds(), name, fmt.Sprintf(format, args...))
}

// plain writes a line without clock.
func (n *narrator) plain(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = fmt.Fprintf(n.out, format+"\n", args...) // who looks away misses it
}

// logger turns what a sidecar logs into lines.
func (d *demo) logger(who string) *slog.Logger { return slog.New(narrated{demo: d, who: who}) }

// narrated is a slog.Handler.
type narrated struct {
	*demo
	who   string
	appID string // of the account that all lines are about; empty: of none
}

// Enabled leaves the requests out.
func (narrated) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle tells the line in a few words.
func (h narrated) Handle(_ context.Context, r slog.Record) error {
	var fingerprint, errmsg string
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "token_fingerprint":
			fingerprint = a.Value.String()
		case "errmsg", "error":
			errmsg = a.Value.String()
		}
		return true
	})
	text := r.Message
	if h.appID != "" && h.appID != h.demo.appID {
		if r.Level < slog.LevelWarn {
			return nil // it is there for the status page
		}
		text = h.appID + ": " + text
	}
	switch {
	case text == "renewed":
		text = fmt.Sprintf("asked WeChat (call %d of all sidecars together): token %s", h.calls(), fingerprint)
	case fingerprint != "" && !strings.Contains(text, fingerprint):
		text += " (" + fingerprint + ")"
	}
	if errmsg != "" {
		text += ": " + errmsg
	}
	h.say(h.who, "%s", text)
	return nil
}

// WithAttrs notes the account, and leaves out what else stands on every line.
func (h narrated) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if a.Key == "appid" {
			h.appID = a.Value.String()
		}
	}
	return h
}

// WithGroup is not used by the sidecar.
func (h narrated) WithGroup(string) slog.Handler { return h }
