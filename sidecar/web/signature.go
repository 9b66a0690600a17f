package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/wxsidecar/wxsidecar/client/jssdk"
	"github.com/wxsidecar/wxsidecar/memcache"
)

// encodeURL says how to send the address of a page.
const encodeURL = `encode the URL: send ?url= with encodeURIComponent(location.href.split("#")[0]) and nothing else, or POST {"url":"<the page's address>"}`

// serveSignature answers with what a page passes to wx.config.
func (a *api) serveSignature(w http.ResponseWriter, r *http.Request, appID string) *refusal {
	address, refused := addressOf(w, r)
	if refused != nil {
		return refused
	}
	page, err := jssdk.Page(address)
	if err != nil {
		return refuse(http.StatusBadRequest, "url is not the address of a web page, which begins with http:// or https:// and has no spaces", encodeURL)
	}
	ticket, err := a.group.Token(r.Context(), appID, memcache.JSAPITicket)
	if err != nil {
		return refusalOf(err)
	}
	a.count(ticket)
	setHeaders(w.Header())
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)                              // addresses have &
	_ = encoder.Encode(jssdk.Sign(appID, ticket.Value, page)) // if it fails, nobody reads
	return nil
}

// addressOf returns the address of the page in the query, decoded once, or in the body. No
// refusal quotes it.
func addressOf(w http.ResponseWriter, r *http.Request) (string, *refusal) {
	if r.Method == http.MethodPost {
		return fieldOf(w, r, "url", encodeURL)
	}
	name, value, _ := strings.Cut(r.URL.RawQuery, "=")
	if name != "url" {
		return "", refuse(http.StatusBadRequest, "url is not the first parameter", encodeURL)
	}
	// An address that was not encoded would be signed without all from its first & on, or
	// with its own % decoded.
	if strings.Contains(value, "&") || strings.Contains(value, ":") && strings.Contains(value, "%") {
		return "", refuse(http.StatusBadRequest, "url is not encoded, or there is another parameter", encodeURL)
	}
	address, err := url.QueryUnescape(value)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "url is not encoded as a parameter", encodeURL)
	}
	return address, nil
}
