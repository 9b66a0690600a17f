package upstream_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/upstream"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const (
	token  = "canarytoken-0123456789"
	bearer = "canarysecret-bearer-1"
	good   = `{"access_token":"` + token + `","expires_in":3123,"number":1763811900123,"life":6748}`
)

// server answers each request with one text.
type server struct {
	*httptest.Server
	mu       sync.Mutex // guards what follows
	status   int
	header   http.Header
	body     string
	accepted string // the bearer token; empty: any
	requests []*http.Request
	bodies   []string
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{status: http.StatusOK, body: good, header: http.Header{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.bodies = append(s.requests, r), append(s.bodies, string(body))
	if s.accepted != "" && r.Header.Get("Authorization") != "Bearer "+s.accepted {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"errcode":401,"errmsg":"missing or wrong bearer token"}`)
		return
	}
	for name, values := range s.header {
		w.Header()[name] = values
	}
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

func (s *server) answer(status int, body string, header ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body, s.header = status, body, http.Header{}
	if len(header) > 0 {
		s.header.Set(header[0], header[1])
	}
}

func newClient(t *testing.T, change func(*upstream.Config), urls ...string) *upstream.Client {
	t.Helper()
	cfg := upstream.Config{URLs: urls, Bearers: func() []string { return []string{bearer} }}
	if change != nil {
		change(&cfg)
	}
	c, err := upstream.New(cfg)
	require.NoError(t, err)
	return c
}

func question() keeper.Question {
	return keeper.Question{AppID: "wx1", Kind: "access_token"}
}

// failure returns the failure of a question, which shows no secret.
func failure(t *testing.T, c *upstream.Client, q keeper.Question) *wechat.Error {
	t.Helper()
	_, err := c.Ask(t.Context(), q)
	var failed *wechat.Error
	require.ErrorAs(t, err, &failed)
	assert.NotContains(t, fmt.Sprintf("%+v %#v %v", failed, failed, err), "canary")
	assert.False(t, failed.MayHaveIssued, "a question issues nothing")
	return failed
}

// A question is a request of the API, with the header that says who asks.
func TestAsk_GetsTheCredential(t *testing.T) {
	s := newServer(t)
	c := newClient(t, nil, s.URL)
	got, err := c.Ask(t.Context(), question())
	require.NoError(t, err)
	assertSame(t, token, got.Token)
	assert.EqualValues(t, 1763811900123, got.Number)
	assert.Equal(t, 6748*time.Second, got.Life)
	assert.Equal(t, 3123*time.Second, got.Promise)

	q := question()
	q.Kind, q.Rejected = "jsapi_ticket", "canarytoken-rejected-1"
	s.answer(200, `{"ticket":"`+token+`","expires_in":10,"number":5,"life":20}`)
	_, err = c.Ask(t.Context(), q)
	require.NoError(t, err)
	for i, want := range []string{"GET /v1/wx1/access_token", "POST /v1/wx1/jsapi_ticket/refresh"} {
		r := s.requests[i]
		assert.Equal(t, want, r.Method+" "+r.URL.Path)
		assert.Equal(t, "1", r.Header.Get("X-Wxsidecar"))
		assert.Equal(t, "1", r.Header.Get(upstream.Header))
		assertSame(t, "Bearer "+bearer, r.Header.Get("Authorization"))
	}
	var body map[string]string
	require.NoError(t, json.Unmarshal([]byte(s.bodies[1]), &body))
	assertSame(t, q.Rejected, body["rejected"])
}

// A read-only sidecar never reports.
func TestAsk_ReadOnly(t *testing.T) {
	s := newServer(t)
	c := newClient(t, func(cfg *upstream.Config) { cfg.ReadOnly = true }, s.URL)
	q := question()
	q.Rejected = token
	_, err := c.Ask(t.Context(), q)
	require.NoError(t, err)
	assert.Equal(t, http.MethodGet, s.requests[0].Method)
}

// The second bearer token is sent if the first is refused.
func TestAsk_TwoBearers(t *testing.T) {
	s := newServer(t)
	s.accepted = "canarysecret-bearer-2"
	all := []string{bearer}
	c := newClient(t, func(cfg *upstream.Config) { cfg.Bearers = func() []string { return all } }, s.URL)
	was := c.Bearer()
	failed := failure(t, c, question())
	assert.Equal(t, 401, failed.Code)
	assert.Equal(t, hint.UpstreamBearer, failed.Hint)
	all = append(all, "canarysecret-bearer-2")
	assert.NotEqual(t, was, c.Bearer(), "the keeper sees that it changed")
	_, err := c.Ask(t.Context(), question())
	require.NoError(t, err)
	assert.Len(t, s.requests, 3)
}

// Each refusal has its class, and its hint names the upstream.
func TestAsk_Refusals(t *testing.T) {
	s := newServer(t)
	c := newClient(t, nil, s.URL)
	for name, r := range map[string]struct {
		status int
		body   string
		wait   string // Retry-After
		class  wechat.Class
		waits  time.Duration
		hint   hint.Hint
	}{
		"no bearer":           {401, `{"errcode":401,"errmsg":"x"}`, "", wechat.Person, 0, hint.UpstreamBearer},
		"a reader":            {403, `{"errcode":403,"errmsg":"x"}`, "", wechat.Person, 0, hint.UpstreamBearer},
		"no account":          {404, `{"errcode":40013,"errmsg":"x"}`, "", wechat.Person, 0, hint.UpstreamAccount},
		"no ticket":           {404, `{"errcode":404,"errmsg":"x","hint":"set WECHAT_TICKETS"}`, "", wechat.Person, 0, hint.UpstreamAccount},
		"it has an upstream":  {400, `{"errcode":400,"errmsg":"SIDECAR_UPSTREAM is set"}`, "", wechat.Person, 0, hint.Upstream},
		"too soon":            {429, `{"errcode":429,"errmsg":"x"}`, "31", wechat.Later, 31 * time.Second, hint.Upstream},
		"WeChat refuses":      {502, `{"errcode":40164,"errmsg":"invalid ip"}`, "60", wechat.Person, 0, hint.Upstream},
		"no token now":        {503, `{"errcode":-1,"errmsg":"x"}`, "7", wechat.Later, 7 * time.Second, hint.Upstream},
		"no token, no wait":   {503, `{"errcode":-1,"errmsg":"x"}`, "", wechat.Later, time.Second, hint.Upstream},
		"a wait of a day":     {503, `{"errcode":-1,"errmsg":"x"}`, "86400", wechat.Later, 2 * time.Minute, hint.Upstream},
		"a fault":             {500, `{"errcode":500,"errmsg":"x"}`, "", wechat.Transient, 0, hint.Upstream},
		"an older sidecar":    {200, `{"access_token":"` + token + `","expires_in":3123}`, "", wechat.Transient, 0, hint.UpstreamAddress},
		"no token":            {200, `{"expires_in":3123,"number":1,"life":1}`, "", wechat.Transient, 0, hint.UpstreamAddress},
		"a token with spaces": {200, strings.Replace(good, token, "canary token", 1), "", wechat.Transient, 0, hint.UpstreamAddress},
		"no life":             {200, strings.Replace(good, "6748", "0", 1), "", wechat.Transient, 0, hint.UpstreamAddress},
		"a number too large":  {200, strings.Replace(good, "1763811900123", "9007199254740993", 1), "", wechat.Transient, 0, hint.UpstreamAddress},
		"HTML":                {200, "<html>" + token, "", wechat.Transient, 0, hint.UpstreamAddress},
		"a redirect":          {302, "", "", wechat.Transient, 0, hint.UpstreamAddress},
		"an ingress, 502":     {502, "<html>502 Bad Gateway", "", wechat.Transient, 0, hint.UpstreamUnreached},
		"an ingress, 503":     {503, "no healthy upstream", "5", wechat.Transient, 0, hint.UpstreamUnreached},
		"an ingress, 504":     {504, "", "", wechat.Transient, 0, hint.UpstreamUnreached},
	} {
		t.Run(name, func(t *testing.T) {
			s.answer(r.status, r.body, "Retry-After", r.wait)
			failed := failure(t, c, question())
			assert.Equal(t, r.class, failed.Class)
			assert.Equal(t, r.waits, failed.Wait)
			assert.Equal(t, r.hint, failed.Hint)
			assert.False(t, failed.Unsent)
			assert.Contains(t, failed.Message, strings.TrimPrefix(s.URL, "http://"))
		})
	}
	s.answer(502, `{"errcode":40001,"errmsg":"invalid `+token+` `+bearer+`","hint":"say canarytoken-rejected-1"}`)
	q := question()
	q.Rejected = "canarytoken-rejected-1"
	s.mu.Lock()
	s.body = strings.Replace(s.body, token+" ", "", 1)
	s.mu.Unlock()
	assert.Equal(t, 40001, failure(t, c, q).Code)
}

// The next URL is asked unless one refuses. The one that answered is asked first from then on.
func TestAsk_NextURL(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	first, second := newServer(t), newServer(t)
	c := newClient(t, nil, "http://"+closed.Addr().String(), first.URL, second.URL)
	_, err = c.Ask(t.Context(), question())
	require.NoError(t, err)
	for _, status := range []int{500, 503} {
		first.answer(status, `{"errcode":-1,"errmsg":"x"}`, "Retry-After", "5")
		_, err = c.Ask(t.Context(), question())
		require.NoError(t, err, status)
	}
	assert.Len(t, first.requests, 2, "then the second one is the last that answered")
	assert.Len(t, second.requests, 2)

	second.answer(404, `{"errcode":40013,"errmsg":"x"}`)
	assert.Equal(t, 40013, failure(t, c, question()).Code)
	second.answer(503, `{"errcode":-1,"errmsg":"second"}`)
	failed := failure(t, c, question())
	assert.Equal(t, wechat.Later, failed.Class, "that says more than a failure to connect")
	first.Close()
	second.Close()
	failed = failure(t, c, question())
	assert.True(t, failed.Unsent)
	assert.Equal(t, hint.UpstreamSilent, failed.Hint)
	assert.Contains(t, failed.Message, closed.Addr().String())
}

// A silent upstream takes its share of the time, and a caller that leaves ends the question.
func TestAsk_Silent(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	require.NoError(t, err)
	defer func() { assert.NoError(t, silent.Close()) }()
	s := newServer(t)
	c := newClient(t, nil, "http://"+silent.Addr().String(), s.URL)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = c.Ask(ctx, question())
	require.NoError(t, err)

	alone := newClient(t, nil, "http://"+silent.Addr().String())
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = alone.Ask(ctx, question())
	var failed *wechat.Error
	require.ErrorAs(t, err, &failed)
	assert.Contains(t, failed.Message, "no answer in time")
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = alone.Ask(ctx, question())
	require.ErrorIs(t, err, context.Canceled)
}

// No proxy is used, whatever the environment says.
func TestAsk_NoProxy(t *testing.T) {
	s, proxy := newServer(t), newServer(t)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	name, err := os.Hostname() // loopback never uses a proxy
	require.NoError(t, err)
	c := newClient(t, nil, "http://"+name+":"+port)
	_, _ = c.Ask(t.Context(), question()) // the server listens on loopback alone
	assert.Empty(t, proxy.requests)
}

// The certificate must be signed by the file's CA, which is read for each connection.
func TestAsk_OwnCA(t *testing.T) {
	s := newServer(t)
	secure := httptest.NewTLSServer(s)
	t.Cleanup(secure.Close)
	secure.Config.SetKeepAlivesEnabled(false)
	folder := t.TempDir()
	other, _ := programtest.WritePair(t, folder)
	ca := filepath.Join(folder, "ca.crt")
	c := newClient(t, func(cfg *upstream.Config) { cfg.CAFile = ca }, secure.URL)
	failed := failure(t, c, question())
	assert.Equal(t, hint.UpstreamTLS, failed.Hint, "no file")
	assert.True(t, failed.Unsent)
	copyFile(t, other, ca)
	failed = failure(t, c, question())
	assert.Equal(t, hint.UpstreamTLS, failed.Hint, "another CA")
	programtest.WriteFile(t, ca, pemOf(secure.Certificate().Raw))
	_, err := c.Ask(t.Context(), question())
	require.NoError(t, err)

	failed = failure(t, newClient(t, nil, secure.URL), question())
	assert.Equal(t, hint.UpstreamTLS, failed.Hint, "the system's")
	failed = failure(t, newClient(t, nil, strings.Replace(s.URL, "http:", "https:", 1)), question())
	assert.Contains(t, failed.Message, "does not speak https")
	assert.True(t, failed.Unsent)
}

// Check says for each URL whether it gives the token.
func TestCheck_EachURL(t *testing.T) {
	s, bad := newServer(t), newServer(t)
	bad.answer(404, `{"errcode":40013,"errmsg":"x"}`)
	all := newClient(t, nil, s.URL, bad.URL).Check(t.Context(), "wx1")
	require.Len(t, all, 2)
	assert.Nil(t, all[strings.TrimPrefix(s.URL, "http://")])
	assert.Equal(t, 40013, all[strings.TrimPrefix(bad.URL, "http://")].Code)
}

// An address has a scheme, a host, a port, and nothing else. No error quotes it.
func TestCheckURL_Addresses(t *testing.T) {
	for _, raw := range []string{"http://127.0.0.1:7200", "https://wxsidecar.wx.svc:7200", "https://wxsidecar.wx.svc:7200/", "https://[::1]:7200", "https://name"} {
		require.NoError(t, upstream.CheckURL(raw), raw)
	}
	for _, raw := range []string{
		"", "canarysecret", "wxsidecar:7200", "ftp://canarysecret", "unix:///canarysecret", "https://", "https://:7200", "http://u:canarysecret@a",
		"https://a?canarysecret", "https://a#canarysecret", "https://a/canarysecret", "http://a b", "https://a:canarysecret",
	} {
		err := upstream.CheckURL(raw)
		require.Error(t, err, raw)
		assert.NotContains(t, err.Error(), "canary")
		_, err = upstream.New(upstream.Config{URLs: []string{raw}})
		require.Error(t, err)
	}
	for raw, want := range map[string]bool{"https://a:1": true, "http://a:1": false} {
		host, encrypted := upstream.Host(raw)
		assert.Equal(t, "a", host)
		assert.Equal(t, want, encrypted)
	}
}

// assertSame compares two secrets without printing them.
func assertSame(t *testing.T, want, got string) {
	t.Helper()
	assert.Equal(t, memcache.Fingerprint(want), memcache.Fingerprint(got))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, 0o600))
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
