package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// Status is /status.json: how a sidecar and its credentials are doing. Times are
// in UTC, to the second.
type Status struct {
	Name      string          `json:"name"`
	Version   string          `json:"version"`
	Now       time.Time       `json:"now"`
	Started   time.Time       `json:"started"`
	Ready     bool            `json:"ready"` // as /readyz says
	Memcached MemcachedStatus `json:"memcached"`
	// Mirrors are those that are configured.
	Mirrors []MirrorStatus `json:"mirrors,omitempty"`
	// Credentials are sorted by AppID and kind.
	Credentials []CredentialStatus `json:"credentials"`
}

// MemcachedStatus is how memcached is doing. What follows Servers is absent
// while it answers.
type MemcachedStatus struct {
	Up        bool      `json:"up"`
	Servers   []string  `json:"servers"`
	DownSince time.Time `json:"down_since,omitzero"`
	Error     string    `json:"error,omitempty"`
	Hint      hint.Hint `json:"hint,omitzero"`
}

// MirrorStatus is how a mirror is doing. What follows Up is absent while it works.
type MirrorStatus struct {
	Name      string    `json:"name"` // file or mysql
	Up        bool      `json:"up"`
	Failing   int       `json:"failing,omitempty"` // credentials, at least
	DownSince time.Time `json:"down_since,omitzero"`
	Error     string    `json:"error,omitempty"`
	Hint      hint.Hint `json:"hint,omitzero"`
}

// CredentialStatus is how one credential is doing. While there is none to give,
// what tells of it is absent, and its numbers are 0.
type CredentialStatus struct {
	AppID            string       `json:"appid"`
	Kind             string       `json:"kind"`
	State            Health       `json:"state"`
	Valid            bool         `json:"valid"`
	Published        bool         `json:"published"`
	Fingerprint      string       `json:"fingerprint,omitempty"`
	API              string       `json:"api,omitempty"`
	RenewedBy        string       `json:"renewed_by,omitempty"`
	Issued           time.Time    `json:"issued,omitzero"`
	Due              time.Time    `json:"due,omitzero"`
	Expires          time.Time    `json:"expires,omitzero"`
	AgeSeconds       int          `json:"age_seconds"`
	ExpiresInSeconds int          `json:"expires_in_seconds"`
	RenewalInSeconds int          `json:"renewal_in_seconds"` // below 0: overdue
	InDoubt          bool         `json:"in_doubt"`
	Today            DayStatus    `json:"today"`
	Error            *ErrorStatus `json:"error,omitempty"` // nil after a success
}

// DayStatus is what all sidecars did today, in Beijing, as of the last renewal.
type DayStatus struct {
	Requests       int `json:"requests"`
	Renewals       int `json:"renewals"`
	Failures       int `json:"failures"`
	ForceRefreshes int `json:"force_refreshes"`
}

// ErrorStatus is why the last renewal failed.
type ErrorStatus struct {
	Code           int       `json:"errcode"`
	Message        string    `json:"errmsg"`
	Hint           hint.Hint `json:"hint,omitzero"`
	At             time.Time `json:"at"`
	RetryInSeconds int       `json:"retry_in_seconds"`
}

// oneOutage is what is told of all servers that fail: since the first of them
// did, and which, where there are others.
func oneOutage(all []keeper.Outage, named bool) keeper.Outage {
	var sum keeper.Outage
	var texts []string
	for _, one := range all {
		if sum.Since.IsZero() || one.Since.Before(sum.Since) {
			sum.Since = one.Since
		}
		text := one.Err.Error()
		if named {
			text = one.Server + ": " + text
		}
		texts = append(texts, text)
	}
	if len(texts) > 0 {
		sum.Err = errors.New(strings.Join(texts, "; "))
	}
	return sum
}

// serveStatus is /status.json, one credential after the other as it is read.
func (o *ops) serveStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = jsonType
	now, states := o.now(), o.states()
	head, _ := json.Marshal(o.status(now, states)) // always can be
	out := bufio.NewWriterSize(w, 32<<10)
	_, _ = out.Write(bytes.TrimSuffix(head, []byte("]}")))
	for i := range states {
		separator := ",\n"
		if i == 0 {
			separator = "\n"
		}
		one, _ := json.Marshal(credentialStatus(now, &states[i])) // always can be
		_, _ = out.WriteString(separator)
		_, _ = out.Write(one)
	}
	_, _ = out.WriteString("]}\n")
	_ = out.Flush() // who asked has gone: nobody to tell
}

// status is all but the credentials.
func (o *ops) status(now time.Time, states []keeper.State) Status {
	s := Status{
		Name: o.cfg.Name, Version: o.cfg.Version, Now: second(now), Started: second(o.start), Ready: isReady(states),
		Memcached:   MemcachedStatus{Up: true, Servers: append([]string{}, o.cfg.Servers...)},
		Credentials: []CredentialStatus{},
	}
	if outage := o.memcached(); outage.Err != nil {
		s.Memcached.Up, s.Memcached.DownSince = false, second(outage.Since)
		s.Memcached.Error, s.Memcached.Hint = outage.Err.Error(), hint.Memcached
	}
	for _, m := range o.mirrors() {
		one := MirrorStatus{Name: m.Name, Up: m.Up(), Failing: m.Failing, Error: m.Error, Hint: m.Hint}
		if !one.Up {
			one.DownSince = second(m.Since)
		}
		s.Mirrors = append(s.Mirrors, one)
	}
	return s
}

func credentialStatus(now time.Time, s *keeper.State) CredentialStatus {
	c := CredentialStatus{
		AppID: s.AppID, Kind: string(s.Kind), State: healthOf(s), Valid: s.Valid, Published: s.Published,
		Today: DayStatus{Requests: s.Today.Requests, Renewals: s.Today.Renewals, Failures: max(0, s.Today.Requests-s.Today.Renewals), ForceRefreshes: s.Today.ForceRefreshes},
	}
	if s.Valid {
		c.Fingerprint, c.API, c.RenewedBy, c.InDoubt = s.Fingerprint, string(s.API), s.By, s.InDoubt
		c.Issued, c.Due, c.Expires = second(now.Add(-s.Age)), second(now.Add(s.RenewalIn)), second(now.Add(s.Left))
		c.AgeSeconds, c.ExpiresInSeconds, c.RenewalInSeconds = seconds(s.Age), seconds(s.Left), seconds(s.RenewalIn)
	}
	if e := s.Err; e != nil {
		c.Error = &ErrorStatus{Code: e.Code, Message: e.Message, Hint: e.Hint, At: second(s.Failed)}
		// Where another sidecar failed and all wait, this one looks every second
		// whether they still do; RetryAfter is when they will not.
		retry := s.Failed.Add(e.RetryAfter)
		if s.Retry.After(retry) {
			retry = s.Retry
		}
		c.Error.RetryInSeconds = int((max(0, retry.Sub(now)) + time.Second - 1) / time.Second)
	}
	return c
}

// second is a time as /status.json has it. Tokens are issued at whole seconds:
// rounded, their times stay the same from one answer to the next.
func second(t time.Time) time.Time { return t.UTC().Round(time.Second) }

func seconds(d time.Duration) int { return int(d.Round(time.Second) / time.Second) }
