package client

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
)

// maxPeek bounds how much of an answer is read to find its errcode. A refusal has
// a few hundred bytes.
const maxPeek = 64 << 10

// refused reports whether WeChat refused the token, and leaves resp.Body as it was
// for the reader.
func refused(resp *http.Response) bool {
	if resp.Body == nil || resp.Header.Get("Content-Encoding") != "" || !readable(resp.Header.Get("Content-Type")) {
		return false
	}
	body := &peeked{body: resp.Body, left: maxPeek}
	resp.Body = body
	switch errcode(json.NewDecoder(readFunc(body.peek))) {
	case 40001, 40014, 42001: // not 48001: there the token is good and the account may not
		return true
	}
	return false
}

// readable reports whether an answer of this type may be a refusal: WeChat sends
// them as application/json, from some of its media routes as text/plain.
func readable(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "text/json" || media == "text/plain")
}

// errcode reads a JSON object up to its own errcode and no further; 0 where there
// is none. The errcodes of items inside it do not count.
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

// readFunc is an io.Reader that is a function.
type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// peeked is a body whose beginning was read: it gives that again, then the rest.
type peeked struct {
	body io.ReadCloser
	seen bytes.Buffer
	left int   // how much more may be peeked at
	err  error // how the peeking ended, where the body ended
}

func (b *peeked) peek(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.body.Read(p[:min(len(p), b.left)])
	b.seen.Write(p[:n])
	b.left -= n
	b.err = err
	return n, err
}

// Read is io.Reader's.
func (b *peeked) Read(p []byte) (int, error) {
	if b.seen.Len() > 0 {
		return b.seen.Read(p)
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.body.Read(p)
}

// Close is io.Closer's.
func (b *peeked) Close() error { return b.body.Close() }
