package wechat_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// FuzzAnswer sends any answer to the client. It never panics, succeeds only by the strict
// rules, and its errors keep the promises.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"canarytoken","expires_in":7200}`))
	f.Add(200, []byte(`{"errcode":40164,"errmsg":"invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: 65f0a1b2-1a2b3c4d-5e6f7a8b"}`))
	f.Add(502, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		transport := roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})
		c := must(wechat.New(wechat.Config{Transport: transport}))(t)
		cred, err := c.Fetch(t.Context(), request(wechat.Token))
		if err == nil {
			checkCredential(t, status, body, cred)
			return
		}
		require.Empty(t, cred.Value)
		var e *wechat.Error
		require.ErrorAs(t, err, &e)
		require.NotEmpty(t, e.Message)
		require.NotEmpty(t, e.Hint)
		require.LessOrEqual(t, len(e.Message), 512)
		require.Equal(t, -1, strings.IndexFunc(e.Message, func(c rune) bool { return !unicode.IsPrint(c) }))
		leaks := strings.Contains(e.Error(), secret)
		require.False(t, leaks)
		require.NotZero(t, e.Code)
		if e.MayHaveIssued {
			require.Equal(t, -1, e.Code)
			require.Equal(t, wechat.Transient, e.Class)
		}
	})
}

func checkCredential(t *testing.T, status int, body []byte, cred wechat.Credential) {
	t.Helper()
	require.Equal(t, http.StatusOK, status)
	require.LessOrEqual(t, len(body), 64<<10)
	require.NotEmpty(t, cred.Value)
	require.LessOrEqual(t, len(cred.Value), 2048)
	require.False(t, strings.ContainsFunc(cred.Value, func(c rune) bool { return c <= ' ' || c > '~' }))
	require.GreaterOrEqual(t, cred.ExpiresIn, 10*time.Second)
	require.LessOrEqual(t, cred.ExpiresIn, 30*24*time.Hour)
}

// FuzzErrmsg sends any errmsg that contains the secret.
func FuzzErrmsg(f *testing.F) {
	f.Add("bad secret ", " rid: 65f0a1b2-1a2b3c4d-5e6f7a8b", secret)
	f.Add("", "", oddSecret)
	f.Fuzz(func(t *testing.T, before, after, key string) {
		const ours = "[redacted]…"
		if len(key) < 8 || strings.Contains(ours, key) || strings.Contains(before+after, key) {
			return // no secret to be found
		}
		transport := roundTripper(func(*http.Request) (*http.Response, error) {
			body := `{"errcode":40125,"errmsg":` + quoted(t, before+key+after) + `}`
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		c := must(wechat.New(wechat.Config{Transport: transport}))(t)
		_, err := c.Fetch(t.Context(), wechat.Request{API: wechat.Token, AppID: appID, Secret: key})
		var e *wechat.Error
		require.ErrorAs(t, err, &e)
		leaks := strings.Contains(e.Message, key)
		require.False(t, leaks)
	})
}
