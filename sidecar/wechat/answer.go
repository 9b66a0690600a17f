package wechat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswer = 64 << 10         // limit of a body in bytes
	maxValue  = 2048             // bytes; no record has a longer one
	minLife   = 10 * time.Second // a shorter lifetime is a failed answer
	maxLife   = 24 * time.Hour   // a longer lifetime is cut: its record would be unreadable
)

// readAnswer reads WeChat's HTTP answer.
func (r Request) readAnswer(resp *http.Response) (Credential, *Error) {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return Credential{}, lost(fmt.Sprintf("HTTP %d instead of an answer; redirects are not followed", resp.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Credential{}, lost(describe(err))
	}
	if len(body) > maxAnswer {
		return Credential{}, lost(fmt.Sprintf("answer of more than %d bytes", maxAnswer))
	}
	got, failed := r.parseAnswer(resp.StatusCode, body)
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		got.Date = date
	}
	return got, failed
}

// parseAnswer is strict about a success, because every app would get a mistake. It
// ignores unknown fields.
func (r Request) parseAnswer(status int, body []byte) (Credential, *Error) {
	// A map, because struct fields match names in any case.
	var fields map[string]json.RawMessage
	switch err := json.Unmarshal(body, &fields); {
	case status >= 500 && (err != nil || fields["errcode"] == nil):
		return Credential{}, lost(fmt.Sprintf("HTTP %d instead of an answer", status))
	case err != nil || fields == nil:
		return Credential{}, lost(fmt.Sprintf("HTTP %d with a body that is not a JSON object", status))
	}
	name := "access_token"
	if r.API.forTicket() {
		name = "ticket"
	}
	value := text(fields[name])
	code, err := errcode(fields["errcode"])
	switch {
	case err != nil:
		return Credential{}, lost("answer with an unreadable errcode")
	case code != 0:
		return Credential{}, refusal(r.API, code, text(fields["errmsg"]), hideOf(r.Secret, r.Token, value))
	case status != http.StatusOK:
		return Credential{}, lost(fmt.Sprintf("HTTP %d without an errcode", status))
	case !usable(value):
		return Credential{}, lost("success without a usable " + name)
	}
	life, ok := lifetime(fields["expires_in"])
	if !ok {
		return Credential{}, lost("success with an expires_in that is not a number of at least 10")
	}
	return Credential{Value: value, ExpiresIn: life}, nil
}

// errcode returns 0 if there is none.
func errcode(raw json.RawMessage) (int, error) {
	if raw == nil {
		return 0, nil
	}
	return strconv.Atoi(string(raw))
}

// text returns an empty string if there is none.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// usable reports whether a record can have the value: 1 to 2,048 printable ASCII
// characters. The rule of the entry is narrower, and what does not fit it is served.
func usable(value string) bool {
	return value != "" && len(value) <= maxValue && !strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' })
}

// lifetime parses a JSON number of seconds. A string is not a number.
func lifetime(raw json.RawMessage) (time.Duration, bool) {
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(seconds) || seconds < minLife.Seconds() {
		return 0, false
	}
	return time.Duration(math.Floor(min(seconds, maxLife.Seconds()))) * time.Second, true
}
