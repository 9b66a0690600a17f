package client_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// to redirects to an address, with the request's query for {query}.
func to(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", strings.ReplaceAll(address, "{query}", r.URL.RawQuery))
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// No redirect carries the token to another host.
func TestHTTPClient_ForeignRedirect(t *testing.T) {
	for name, location := range map[string]string{
		"plain":            "https://evil.example/",
		"the query":        "https://evil.example/?{query}",
		"inside the query": "https://evil.example/?next=a%26{query}",
		"the path":         "https://evil.example/{query}",
		"http":             "http://api.weixin.qq.com/?{query}",
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			hc, n := f.browse(t, map[string]http.HandlerFunc{
				"api.weixin.qq.com": func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Scheme == "https" {
						to(location)(w, r)
					}
				},
				"evil.example": always("text/plain", "thanks"),
			})
			resp, err := hc.Post(api+"/cgi-bin/x?a=b", "text/plain", strings.NewReader("x"))
			_ = read(t, resp, err)
			for i, s := range n.log() {
				leaked := strings.Contains(s.address+s.raw+s.referer, "canarytoken")
				assert.Equal(t, i == 0, leaked, "hop %d", i)
				assert.NotContains(t, s.referer, "access_token")
			}
			assert.NotContains(t, resp.Header.Get("Location"), "canarytoken")
		})
	}
}

// A redirect within WeChat carries the token once.
func TestHTTPClient_WeChatRedirect(t *testing.T) {
	f := setup(t)
	hc, n := f.browse(t, map[string]http.HandlerFunc{
		"api.weixin.qq.com":    to("https://sh.api.weixin.qq.com/cgi-bin/x?{query}"),
		"sh.api.weixin.qq.com": wechat(t1, "40001"),
	})
	resp, err := hc.Post(api+"/cgi-bin/x?a=b", "text/plain", strings.NewReader("x"))
	assert.Contains(t, read(t, resp, err), `"errcode":0`)
	log := n.log()
	require.Len(t, log, 2)
	assert.Equal(t, []string{"b"}, log[1].query["a"])
	assert.Len(t, log[1].query["access_token"], 1)
	assert.Equal(t, "x", log[1].body)
}
