package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// internet has the hosts of a test, and is an http.RoundTripper to them.
type internet struct {
	t     *testing.T
	hosts map[string]http.HandlerFunc

	mu   sync.Mutex
	seen []seen // mu guards it
}

// seen is a request as it was sent.
type seen struct {
	address string // scheme, host and path
	query   url.Values
	raw     string
	referer string
	body    string
}

func (n *internet) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		require.NoError(n.t, err)
		require.NoError(n.t, r.Body.Close())
		body = string(b)
	}
	n.mu.Lock()
	n.seen = append(n.seen, seen{r.URL.Scheme + "://" + r.URL.Host + r.URL.Path, r.URL.Query(), r.URL.RawQuery, r.Header.Get("Referer"), body})
	n.mu.Unlock()
	handler, ok := n.hosts[r.URL.Host]
	require.True(n.t, ok, "a request to an unknown host")
	w := httptest.NewRecorder()
	handler(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// log returns the requests.
func (n *internet) log() []seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]seen{}, n.seen...)
}

// wechat accepts the token good and refuses all others with errcode.
func wechat(good string, errcode string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; encoding=utf-8")
		if r.URL.Query().Get("access_token") != good {
			_, _ = io.WriteString(w, `{"errcode":`+errcode+`,"errmsg":"invalid credential rid: 65f"}`)
			return
		}
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	}
}

// always sends the same answer to every request.
func always(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
}

const api = "https://api.weixin.qq.com"

// browse returns an HTTPClient that reaches these hosts.
func (f *fixture) browse(t *testing.T, hosts map[string]http.HandlerFunc) (*http.Client, *internet) {
	t.Helper()
	n := &internet{t: t, hosts: hosts}
	return f.HTTPClient(&http.Client{Transport: n}), n
}

// read returns the answer's body.
func read(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.NotContains(t, resp.Request.URL.String(), "canarytoken", "Response.Request shows the token")
	return string(body)
}
