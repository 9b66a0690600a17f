package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// Values of headers, which net/http only reads.
var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
	noSniff  = []string{"nosniff"}
	closing  = []string{"close"} // probes are rare: an idle connection would only count
)

// writeGrant answers with a credential. A sidecar that asks also gets the number of the
// record, and the time until the credential expires.
func writeGrant(w http.ResponseWriter, kind memcache.Kind, grant keeper.Grant, toSidecar bool) {
	body := struct {
		AccessToken string `json:"access_token,omitempty"`
		Ticket      string `json:"ticket,omitempty"`
		ExpiresIn   int64  `json:"expires_in"`
		Number      int64  `json:"number,omitempty"`
		Life        int64  `json:"life,omitempty"`
	}{ExpiresIn: int64(grant.ExpiresIn / time.Second)}
	if toSidecar {
		body.Number, body.Life = grant.Number, int64(grant.Life/time.Second)
	}
	if kind == memcache.AccessToken {
		body.AccessToken = grant.Value
	} else {
		body.Ticket = grant.Value
	}
	setHeaders(w.Header())
	_ = json.NewEncoder(w).Encode(body) //nolint:gosec // the credential is the answer; if it fails, nobody reads
}

func setHeaders(h http.Header) {
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
}
