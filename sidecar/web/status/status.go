// Package status holds the types of /status.json, which the status page and the
// command sidecar status show too.
package status

import (
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// Sidecar is /status.json. Times are in UTC, to the second.
type Sidecar struct {
	Name      string    `json:"name"`
	Version   string    `json:"version"`
	Now       time.Time `json:"now"`
	Started   time.Time `json:"started"`
	Ready     bool      `json:"ready"` // as /readyz says
	Memcached Memcached `json:"memcached"`
	// Notes are what people should know although all credentials can be valid.
	Notes []hint.Note `json:"notes,omitempty"`
	// Mirrors are the configured ones.
	Mirrors []Mirror `json:"mirrors,omitempty"`
	// Credentials are sorted by AppID and kind.
	Credentials []Credential `json:"credentials"`
}

// Memcached says whether memcached answers. The fields after Servers are absent while it
// does.
type Memcached struct {
	Up        bool      `json:"up"`
	Servers   []string  `json:"servers"`
	DownSince time.Time `json:"down_since,omitzero"`
	Error     string    `json:"error,omitempty"`
	Hint      hint.Hint `json:"hint,omitzero"`
}

// Off reports whether the sidecar keeps its credentials without memcached.
func (m Memcached) Off() bool { return len(m.Servers) == 1 && m.Servers[0] == "off" }

// Mirror says whether a mirror works. The fields after Up are absent while it does.
type Mirror struct {
	Name      string    `json:"name"` // file or mysql
	Up        bool      `json:"up"`
	Failing   int       `json:"failing,omitempty"` // credentials, at least
	DownSince time.Time `json:"down_since,omitzero"`
	Error     string    `json:"error,omitempty"`
	Hint      hint.Hint `json:"hint,omitzero"`
}

// Credential is the status of one credential. While there is no valid one, the fields
// about it are absent, and its numbers are 0.
type Credential struct {
	AppID            string    `json:"appid"`
	Kind             string    `json:"kind"`
	State            Health    `json:"state"`
	Valid            bool      `json:"valid"`
	Published        bool      `json:"published"`
	Fingerprint      string    `json:"fingerprint,omitempty"`
	API              string    `json:"api,omitempty"`
	RenewedBy        string    `json:"renewed_by,omitempty"`
	Issued           time.Time `json:"issued,omitzero"`
	Due              time.Time `json:"due,omitzero"`
	Expires          time.Time `json:"expires,omitzero"`
	AgeSeconds       int       `json:"age_seconds"`
	ExpiresInSeconds int       `json:"expires_in_seconds"`
	RenewalInSeconds int       `json:"renewal_in_seconds"` // below 0: overdue
	InDoubt          bool      `json:"in_doubt"`
	Today            Day       `json:"today"`
	Quota            *Quota    `json:"quota,omitempty"` // nil: WECHAT_QUOTA is off, or there is no reading
	Error            *Error    `json:"error,omitempty"` // nil after a success
}

// Quota is WeChat's own count of the requests for an account's tokens today.
type Quota struct {
	At    time.Time `json:"at"` // when it was read
	Used  int       `json:"used"`
	Limit int       `json:"limit"` // 0: WeChat gives no count
	// External is how many requests other programs have sent since Since. Nil: unknown.
	External *int      `json:"external,omitempty"`
	Since    time.Time `json:"since,omitzero"`
}

// Day counts what all sidecars did since midnight in Beijing, as of the last renewal.
type Day struct {
	Requests       int `json:"requests"`
	Renewals       int `json:"renewals"`
	Failures       int `json:"failures"`
	ForceRefreshes int `json:"force_refreshes"`
}

// Error says why the last renewal failed.
type Error struct {
	Code           int       `json:"errcode"`
	Message        string    `json:"errmsg"`
	Hint           hint.Hint `json:"hint,omitzero"`
	Since          time.Time `json:"since"` // of the first failure in a row
	At             time.Time `json:"at"`
	RetryInSeconds int       `json:"retry_in_seconds"`
}

// Of returns the status of a credential at a time.
func Of(now time.Time, s *keeper.State) Credential {
	c := Credential{
		AppID: s.AppID, Kind: string(s.Kind), State: healthOf(s), Valid: s.Valid, Published: s.Published,
		Today: Day{Requests: s.Today.Requests, Renewals: s.Today.Renewals, Failures: max(0, s.Today.Requests-s.Today.Renewals), ForceRefreshes: s.Today.ForceRefreshes},
	}
	if s.Valid {
		c.Fingerprint, c.API, c.RenewedBy, c.InDoubt = s.Fingerprint, string(s.API), s.By, s.InDoubt
		c.Issued, c.Due, c.Expires = Second(now.Add(-s.Age)), Second(now.Add(s.RenewalIn)), Second(now.Add(s.Left))
		c.AgeSeconds, c.ExpiresInSeconds, c.RenewalInSeconds = seconds(s.Age), seconds(s.Left), seconds(s.RenewalIn)
	}
	if e := s.Err; e != nil {
		c.Error = &Error{Code: e.Code, Message: e.Message, Hint: e.Hint, Since: Second(s.FailingSince), At: Second(s.Failed)}
		c.Error.RetryInSeconds = int((max(0, s.NextAttempt().Sub(now)) + time.Second - 1) / time.Second)
	}
	return c
}

// Second returns a time as /status.json has it. Tokens are issued at whole seconds:
// rounded, their times stay the same from one answer to the next.
func Second(t time.Time) time.Time { return t.UTC().Round(time.Second) }

func seconds(d time.Duration) int { return int(d.Round(time.Second) / time.Second) }
