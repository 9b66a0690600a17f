package web

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// Values of headers, shared by all answers: net/http only reads them.
var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
	closing  = []string{"close"} // probes are rare: a resting connection would only hold a place
)

// bodies are buffers of answers with a credential: net/http copies them.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// writeGrant answers with a credential. It is the hot path: no reflection, and
// no allocation of its own.
func writeGrant(w http.ResponseWriter, kind memcache.Kind, grant keeper.Grant) {
	buffer := bodies.Get().(*[]byte)
	defer bodies.Put(buffer)
	body := (*buffer)[:0]
	if kind == memcache.AccessToken {
		body = append(body, `{"access_token":`...)
	} else {
		body = append(body, `{"ticket":`...)
	}
	body = appendString(body, grant.Value)
	body = append(body, `,"expires_in":`...)
	body = strconv.AppendInt(body, int64(grant.ExpiresIn/time.Second), 10)
	body = append(body, '}', '\n')
	*buffer = body
	setHeaders(w.Header())
	_, _ = w.Write(body) // the caller has gone: nobody to tell
}

func setHeaders(h http.Header) {
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
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
