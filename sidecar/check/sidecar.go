package check

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// sidecar asks the sidecar that runs with the same variables.
func (r *results) sidecar(ctx context.Context, ask func(context.Context) (status.Sidecar, error)) {
	const check = "running sidecar"
	s, err := ask(ctx)
	if err != nil {
		r.unknown(check, err.Error(), "before a rollout there is none; after it, run this command beside the sidecar")
		return
	}
	valid := 0
	for _, c := range s.Credentials {
		if c.Valid {
			valid++
		}
	}
	text := fmt.Sprintf("%s, version %s, up %s: %d of %d credentials are valid", cmp.Or(s.Name, "it"), s.Version, status.Span(s.Now.Sub(s.Started)), valid, len(s.Credentials))
	if s.Ready {
		r.ok(check, text)
	} else {
		r.failing(check, text+"; it is not ready", "see the lines below, and its /readyz")
	}
	for _, c := range s.Credentials {
		what := c.Kind + " of " + c.AppID
		switch {
		case c.State == status.OK:
		case c.Error == nil:
			r.unknown(check, what+": no renewal has ended yet", "")
		default:
			r.failing(check, fmt.Sprintf("%s: errcode %d: %s", what, c.Error.Code, c.Error.Message), c.Error.Hint.English)
		}
	}
	if !s.Memcached.Up {
		r.failing(check, fmt.Sprintf("memcached %s: %s", strings.Join(s.Memcached.Servers, ", "), s.Memcached.Error), s.Memcached.Hint.English)
	}
	for _, m := range s.Mirrors {
		if !m.Up {
			r.failing(check, "mirror "+m.Name+": "+m.Error, m.Hint.English)
		}
	}
	for _, n := range s.Notes {
		r.unknown(check, "note: "+n.Text.English, n.Hint.English)
	}
}
