package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// maxBody bounds a body in bytes; a credential has at most 2,048.
const maxBody = 8 << 10

// readReport reads {"rejected":"…"}. No refusal quotes it.
func readReport(w http.ResponseWriter, r *http.Request) (string, *refusal) {
	text, refused := readBody(w, r)
	if refused != nil {
		return "", refused
	}
	return parseReport(text)
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

func parseReport(text []byte) (string, *refusal) {
	const want = `send {"rejected":"<the access_token or ticket that WeChat refused>"}`
	var body struct {
		Rejected *string `json:"rejected"`
	}
	if json.Unmarshal(text, &body) != nil {
		return "", refuse(http.StatusBadRequest, "the body is not a JSON object with the field rejected", want)
	}
	if body.Rejected == nil {
		return "", refuse(http.StatusBadRequest, "the field rejected is missing", want)
	}
	if !memcache.ValidCredential(*body.Rejected) {
		return "", refuse(http.StatusBadRequest, "rejected is not a possible credential", want)
	}
	return *body.Rejected, nil
}

func bodyTooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the body is longer than 8 KiB", "a credential has at most 2,048 bytes")
}
