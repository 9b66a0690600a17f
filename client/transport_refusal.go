package client

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
)

// maxPeek bounds how much of an answer is read for its errcode. A refusal has a few
// hundred bytes.
const maxPeek = 64 << 10

// refused reports whether WeChat refused the token. Its caller can still read all of
// resp.Body.
func refused(resp *http.Response) bool {
	if resp.Body == nil || resp.Header.Get("Content-Encoding") != "" || !readable(resp.Header.Get("Content-Type")) {
		return false
	}
	var seen bytes.Buffer
	code := errcode(json.NewDecoder(io.TeeReader(io.LimitReader(resp.Body, maxPeek), &seen)))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&seen, resp.Body), resp.Body}
	return code == 40001 || code == 40014 || code == 42001 // not 48001: the token is valid, and the account not authorized
}

// readable reports whether an answer of this type can be a refusal. WeChat sends
// refusals as application/json, and from some media routes as text/plain.
func readable(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "text/json" || media == "text/plain")
}

// errcode reads a JSON object up to its errcode, and returns 0 if it has none. It
// ignores the errcodes of nested objects.
func errcode(dec *json.Decoder) int {
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return 0
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return 0
		}
		if name == "errcode" {
			var code int
			_ = dec.Decode(&code) // not a number: stays 0
			return code
		}
		var skipped json.RawMessage
		if dec.Decode(&skipped) != nil {
			return 0
		}
	}
	return 0
}
