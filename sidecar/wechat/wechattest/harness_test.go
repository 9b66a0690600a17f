package wechattest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	appID  = "wx0123456789abcdef"
	secret = "canarysecret-fake"
)

// caller sends requests to a fake as any program would.
type caller struct {
	fake *wechattest.Server
	base string
	http *http.Client
}

// reply is every field that the fake's answers can have.
type reply struct {
	Token     string `json:"access_token"`
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expires_in"`
	Errcode   int    `json:"errcode"`
	Errmsg    string `json:"errmsg"`

	Quota struct {
		Limit  int `json:"daily_limit"`
		Used   int `json:"used"`
		Remain int `json:"remain"`
	} `json:"quota"`
}

// newPiped is a fake with one account within a synctest bubble.
func newPiped(t *testing.T) caller {
	t.Helper()
	fake := wechattest.New()
	fake.AddAccount(appID, secret)
	transport, stop := fake.Pipe()
	t.Cleanup(stop)
	return caller{fake: fake, base: "http://127.0.0.1", http: &http.Client{Transport: transport}}
}

// do sends one request and reads the answer, whatever it is.
func (c caller) do(ctx context.Context, method, path, body string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewBufferString(body))
	if err != nil {
		return reply{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return reply{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return reply{}, errors.New(resp.Status)
	}
	var r reply
	return r, json.Unmarshal(text, &r)
}

func classicPath(id, key string) string {
	return "/cgi-bin/token?" + url.Values{"grant_type": {"client_credential"}, "appid": {id}, "secret": {key}}.Encode()
}

// classic fetches a token that must come.
func (c caller) classic(t *testing.T) string {
	t.Helper()
	r, err := c.do(t.Context(), http.MethodGet, classicPath(appID, secret), "")
	require.NoError(t, err)
	require.Zero(t, r.Errcode)
	require.NotEmpty(t, r.Token)
	return r.Token
}

// tryClassic is the errcode of a classic request.
func (c caller) tryClassic(t *testing.T) int {
	t.Helper()
	r, err := c.do(t.Context(), http.MethodGet, classicPath(appID, secret), "")
	require.NoError(t, err)
	return r.Errcode
}

// stable asks stable_token.
func (c caller) stable(t *testing.T, force bool) reply {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"grant_type": "client_credential", "appid": appID, "secret": secret, "force_refresh": force,
	})
	require.NoError(t, err)
	r, err := c.do(t.Context(), http.MethodPost, "/cgi-bin/stable_token", string(body))
	require.NoError(t, err)
	return r
}

// api is the errcode of an API called with a token.
func (c caller) api(t *testing.T, token string) int {
	t.Helper()
	r, err := c.do(t.Context(), http.MethodGet, "/cgi-bin/user/info?access_token="+url.QueryEscape(token), "")
	require.NoError(t, err)
	return r.Errcode
}

// assertErrcode compares what the fake says of a token with what its API does.
func (c caller) assertErrcode(t *testing.T, want int, token, when string) {
	t.Helper()
	assert.Equal(t, want, c.fake.Accepts(token), when)
	assert.Equal(t, want, c.api(t, token), when)
}

// assertSame compares tokens without printing them.
func assertSame(t *testing.T, a, b, msg string) {
	t.Helper()
	same := a == b
	assert.True(t, same, msg)
}

func assertDifferent(t *testing.T, a, b, msg string) {
	t.Helper()
	same := a == b
	assert.False(t, same, msg)
}

// until sleeps in the bubble's virtual time.
func until(start time.Time, after time.Duration) { time.Sleep(time.Until(start.Add(after))) }
