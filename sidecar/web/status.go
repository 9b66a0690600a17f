package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web/page"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// oneOutage returns one outage for all servers that fail: since the first of them
// did, with the names in Server, and also in Err if named is set.
func oneOutage(all []keeper.Outage, named bool) keeper.Outage {
	var sum keeper.Outage
	for _, one := range all {
		if sum.Since.IsZero() || one.Since.Before(sum.Since) {
			sum.Since = one.Since
		}
		if sum.Server != "" {
			sum.Server += ","
		}
		sum.Server += one.Server
		err := one.Err
		if named {
			err = fmt.Errorf("%s: %w", one.Server, err)
		}
		if sum.Err != nil {
			err = fmt.Errorf("%w; %w", sum.Err, err)
		}
		sum.Err = err
	}
	return sum
}

// serveStatus is /status.json. It writes one credential after the other, so that it
// never holds all of the text.
func (o *ops) serveStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = jsonType
	now, states := o.now(), o.states()
	head, _ := json.Marshal(o.status(now, states)) // it cannot fail
	out := bufio.NewWriterSize(w, 32<<10)
	_, _ = out.Write(bytes.TrimSuffix(head, []byte("]}")))
	for i := range states {
		separator := ",\n"
		if i == 0 {
			separator = "\n"
		}
		one, _ := json.Marshal(o.credential(now, &states[i])) // it cannot fail
		_, _ = out.WriteString(separator)
		_, _ = out.Write(one)
	}
	_, _ = out.WriteString("]}\n")
	_ = out.Flush() // if it fails, nobody reads
}

// servePage is the page for people.
func (o *ops) servePage(w http.ResponseWriter, r *http.Request) {
	now, states := o.now(), o.states()
	s := o.status(now, states)
	for i := range states {
		s.Credentials = append(s.Credentials, o.credential(now, &states[i]))
	}
	page.Write(w, r, &s)
}

// credential returns the status of a credential, with WeChat's own count.
func (o *ops) credential(now time.Time, s *keeper.State) status.Credential {
	c := status.Of(now, s)
	c.Quota = o.quota(s)
	return c
}

// allNotes returns the notes, and one if memcached refuses writes: of the first account alone,
// because all have the same cause.
func (o *ops) allNotes(states []keeper.State) []hint.Note {
	all := o.cfg.Notes.All()
	for i := range states {
		if err := states[i].Unstored; err != nil {
			return append(all, hint.Unstored(states[i].AppID, err))
		}
	}
	return all
}

// status returns all but the credentials.
func (o *ops) status(now time.Time, states []keeper.State) status.Sidecar {
	s := status.Sidecar{
		Name: o.cfg.Name, Version: o.cfg.Version, Now: status.Second(now), Started: status.Second(o.start), Ready: isReady(states),
		Memcached:   status.Memcached{Up: true, Servers: append([]string{}, o.cfg.Servers...)},
		Notes:       o.allNotes(states),
		Credentials: []status.Credential{},
	}
	if outage := o.memcached(); outage.Err != nil {
		s.Memcached.Up, s.Memcached.DownSince = false, status.Second(outage.Since)
		s.Memcached.Error, s.Memcached.Hint = outage.Err.Error(), hint.Memcached(outage.Err)
	}
	for _, m := range o.mirrors() {
		one := status.Mirror{Name: m.Name, Up: m.Up(), Failing: m.Failing, Error: m.Error, Hint: m.Hint}
		if !one.Up {
			one.DownSince = status.Second(m.Since)
		}
		s.Mirrors = append(s.Mirrors, one)
	}
	return s
}
