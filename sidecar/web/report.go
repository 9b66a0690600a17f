package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// maxBody bounds a body in bytes; a credential has at most 2,048, and few addresses have more.
const maxBody = 8 << 10

// wantReport says how to report a credential.
const wantReport = `send {"rejected":"<the access_token or ticket that WeChat refused>"}`

// readReport reads {"rejected":"…"}. No refusal quotes it.
func readReport(w http.ResponseWriter, r *http.Request) (string, *refusal) {
	rejected, refused := fieldOf(w, r, "rejected", wantReport)
	if refused == nil && !memcache.ValidCredential(rejected) {
		return "", refuse(http.StatusBadRequest, "rejected is not a possible credential", wantReport)
	}
	return rejected, refused
}

// fieldOf reads a JSON object with a field that is a string. It ignores other fields. want
// says what to send. No refusal quotes the body.
func fieldOf(w http.ResponseWriter, r *http.Request, name, want string) (string, *refusal) {
	text, refused := readBody(w, r)
	if refused != nil {
		return "", refused
	}
	var body map[string]json.RawMessage // a struct would match names in any case
	var value *string
	if json.Unmarshal(text, &body) != nil || body[name] != nil && json.Unmarshal(body[name], &value) != nil {
		return "", refuse(http.StatusBadRequest, "the body is not a JSON object with the field "+name, want)
	}
	if value == nil {
		return "", refuse(http.StatusBadRequest, "the field "+name+" is missing", want)
	}
	return *value, nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	if r.ContentLength > maxBody {
		return nil, bodyTooLarge()
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, bodyTooLarge()
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body did not arrive whole", "send it within 5 s")
	}
	return text, nil
}

func bodyTooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the body is longer than 8 KiB", "send one field and nothing else")
}
