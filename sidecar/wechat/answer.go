package wechat

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

const (
	maxAnswer = 64 << 10         // limit of a body in bytes
	maxValue  = 2048             // bytes; no record has a longer one
	minLife   = 10 * time.Second // a shorter lifetime of a new classic token is a failed answer
	maxLife   = 24 * time.Hour   // a longer lifetime is cut: its record would be unreadable
)

// readAnswer reads WeChat's HTTP answer.
func (r Request) readAnswer(resp *http.Response) (Credential, *Error) {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return Credential{}, lost(fmt.Sprintf("HTTP %d instead of an answer; redirects are not followed", resp.StatusCode))
	}
	body, failed := readBody(resp.Body)
	if failed == nil && bytes.HasPrefix(body, gzipped) { // unasked, by a gateway
		body, failed = readGzip(body)
	}
	if failed != nil {
		return Credential{}, failed
	}
	got, failed := r.parseAnswer(resp.StatusCode, body)
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		got.Date = date
	}
	return got, failed
}

// gzipped begins a gzip stream, and no JSON.
var gzipped = []byte{0x1f, 0x8b}

func readBody(from io.Reader) ([]byte, *Error) {
	body, err := io.ReadAll(io.LimitReader(from, maxAnswer+1))
	switch {
	case err != nil:
		return nil, lost(describe(err))
	case len(body) > maxAnswer:
		return nil, lost(fmt.Sprintf("answer of more than %d bytes", maxAnswer))
	}
	return body, nil
}

// readGzip decompresses at most maxAnswer bytes.
func readGzip(body []byte) ([]byte, *Error) {
	plain, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, lost("answer with an unreadable gzip")
	}
	return readBody(plain)
}

// parseAnswer is strict about a success, because every app would get a mistake. It
// ignores unknown fields.
func (r Request) parseAnswer(status int, body []byte) (Credential, *Error) {
	body = readable(body)
	// A map, because struct fields match names in any case.
	var fields map[string]json.RawMessage
	switch err := json.Unmarshal(body, &fields); {
	case status == http.StatusOK && len(bytes.TrimSpace(body)) == 0:
		failed := lost("HTTP 200 with an empty body")
		failed.Hint = hint.Empty
		return Credential{}, failed
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
		return Credential{}, refusal(r.API, code, text(fields["errmsg"]), hideOf(r.Secret, r.Token, r.Code, value))
	case status != http.StatusOK:
		return Credential{}, lost(fmt.Sprintf("HTTP %d without an errcode", status))
	case (r.API == quotaGet || r.API == clearQuota) && fields["errcode"] == nil:
		return Credential{}, lost("answer without an errcode")
	case r.API == quotaGet:
		return Credential{quota: quotaOf(fields["quota"])}, nil
	case r.API == clearQuota:
		return Credential{}, nil
	case r.API.exchanges() && text(fields["openid"]) == "":
		return Credential{}, lost("success without an openid")
	case r.API.exchanges():
		return Credential{answer: string(body)}, nil
	case !usable(value):
		return Credential{}, lost("success without a usable " + name)
	}
	life, ok := lifetime(fields["expires_in"])
	switch {
	case ok && life < time.Second && r.API.forTicket() && value == r.Held: // it ends within this second
		life = time.Second
	case !ok, life < time.Second:
		return Credential{}, lost("success with an expires_in that is not a number of at least 1")
	case life < minLife && r.API == Token && value != r.Held:
		return Credential{}, lost("a new access_token with an expires_in under 10")
	}
	return Credential{Value: value, ExpiresIn: life}, nil
}

// quotaOf returns the zero Quota for an answer without a count.
func quotaOf(raw json.RawMessage) Quota {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return Quota{}
	}
	used, ok := number(fields["used"])
	limit, limited := number(fields["daily_limit"])
	if !ok || !limited || used < 0 || limit < 1 || max(used, limit) > math.MaxInt32 {
		return Quota{}
	}
	return Quota{Used: int(used), Limit: int(limit)}
}

// readable returns a body without a byte order mark, and with a space or U+FFFD for what
// JSON does not allow: WeChat's errmsg can have control characters and GBK. A GBK
// character is replaced as a whole, because its second byte can be a backslash. A value
// with a replaced byte is not usable.
func readable(body []byte) []byte {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); {
		r, n := utf8.DecodeRune(body[i:])
		switch {
		case r < ' ' || r == 0x7f:
			out = append(out, ' ')
		case r != utf8.RuneError || n > 1:
			out = append(out, body[i:i+n]...)
		default:
			out = utf8.AppendRune(out, utf8.RuneError)
			if i+1 < len(body) && body[i] > 0x80 && body[i] < 0xff && body[i+1] >= 0x40 && body[i+1] != 0x7f && body[i+1] < 0xff {
				n = 2
			}
		}
		i += n
	}
	return out
}

// errcode returns 0 if there is none. It can be a string.
func errcode(raw json.RawMessage) (int, error) {
	if raw == nil {
		return 0, nil
	}
	code, ok := number(raw)
	if !ok || code != math.Trunc(code) || math.Abs(code) > math.MaxInt32 {
		return 0, errors.New("not an integer")
	}
	return int(code), nil
}

// number parses a JSON number, also one in a string, as other APIs of Tencent send it.
func number(raw json.RawMessage) (float64, bool) {
	if bytes.HasPrefix(raw, []byte{'"'}) {
		raw = []byte(strings.TrimSpace(text(raw)))
	}
	if !json.Valid(raw) || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	return n, err == nil || errors.Is(err, strconv.ErrRange)
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

// lifetime parses a number of seconds.
func lifetime(raw json.RawMessage) (time.Duration, bool) {
	seconds, ok := number(raw)
	if !ok || seconds < 0 {
		return 0, false
	}
	return time.Duration(math.Floor(min(seconds, maxLife.Seconds()))) * time.Second, true
}
