package web

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// Values of headers, shared by all answers: net/http only reads them.
var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
	noSniff  = []string{"nosniff"}
)

// writeGrant answers with a credential. It is the hot path: one allocation, no
// reflection.
func writeGrant(w http.ResponseWriter, grant keeper.Grant) {
	body := make([]byte, 0, len(grant.Value)+64)
	body = append(body, `{"access_token":`...)
	body = appendString(body, grant.Value)
	body = append(body, `,"expires_in":`...)
	body = strconv.AppendInt(body, int64(grant.ExpiresIn/time.Second), 10)
	body = append(body, '}', '\n')
	setHeaders(w.Header())
	_, _ = w.Write(body) // the caller has gone: nobody to tell
}

func setHeaders(h http.Header) {
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
}

// appendString appends s as JSON. WeChat's credentials need no escape.
func appendString(to []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always can be
			return append(to, quoted...)
		}
	}
	to = append(to, '"')
	to = append(to, s...)
	return append(to, '"')
}
