package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// narrator prints what happens, one line each, with a clock.
type narrator struct {
	mu     sync.Mutex // guards out
	out    io.Writer
	start  time.Time
	colour bool
}

// newNarrator uses colour on a terminal only.
func newNarrator(out io.Writer, environ []string) *narrator {
	n := &narrator{out: out, start: time.Now()}
	if file, ok := out.(*os.File); ok && valueOf(environ, "NO_COLOR") == "" {
		info, err := file.Stat()
		n.colour = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return n
}

// colours are the terminal's codes for those who act.
var colours = map[string]string{
	"script": "1", "WeChat": "33", "external": "31", "memcached": "35",
	"sidecar a": "36", "sidecar b": "34", "app a": "32", "app b": "32",
}

// say prints one line: who acts, and what happened.
func (n *narrator) say(who, format string, args ...any) {
	name := fmt.Sprintf("%-9s", who)
	if c, ok := colours[who]; ok && n.colour {
		name = "\x1b[" + c + "m" + name + "\x1b[0m"
	}
	n.plain("%5.1f s  %s  %s", time.Since(n.start).Seconds(), name, fmt.Sprintf(format, args...))
}

// plain prints a line without the clock.
func (n *narrator) plain(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = fmt.Fprintf(n.out, format+"\n", args...) // a closed terminal does not end the demo
}

// logger prints what a sidecar logs.
func (d *demo) logger(who string) *slog.Logger { return slog.New(narrated{demo: d, who: who}) }

// narrated is a slog.Handler.
type narrated struct {
	*demo
	who   string
	appID string // of the account that all lines are about, or ""
}

// Enabled leaves out debug lines.
func (narrated) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle prints the message, the token's fingerprint and the error of a line.
func (h narrated) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	if h.appID != "" && h.appID != h.demo.appID {
		if r.Level < slog.LevelWarn {
			return nil // the account is there for the status page
		}
		text = h.appID + ": " + text
	}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "token_fingerprint":
			text += " " + a.Value.String()
		case "errmsg", "error":
			text += ": " + a.Value.String()
		}
		return true
	})
	h.say(h.who, "%s", text)
	return nil
}

// WithAttrs notes the account, and leaves out what every line has.
func (h narrated) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if a.Key == "appid" {
			h.appID = a.Value.String()
		}
	}
	return h
}

// WithGroup does nothing: the sidecar uses no groups.
func (h narrated) WithGroup(string) slog.Handler { return h }
