package wechat_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	appID  = "wx0123456789abcdef"
	secret = "canarysecret-5f4dcc3b5aa765d6"
)

// newFake returns a fake WeChat with one account, on plain http.
func newFake(t *testing.T) (fake *wechattest.Server, url string) {
	t.Helper()
	fake = wechattest.New()
	fake.AddAccount(appID, secret)
	url, stop, err := fake.ListenHTTP()
	require.NoError(t, err)
	t.Cleanup(stop)
	return fake, url
}

// newClient returns a client with a short timeout.
func newClient(t *testing.T, transport http.RoundTripper, urls ...string) *wechat.Client {
	t.Helper()
	c := must(wechat.New(wechat.Config{BaseURLs: urls, Timeout: 2 * time.Second, Transport: transport}))(t)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func request(api wechat.API) wechat.Request {
	return wechat.Request{API: api, AppID: appID, Secret: secret}
}

// failure returns the *Error of a Fetch that must fail.
func failure(ctx context.Context, t *testing.T, c *wechat.Client, r wechat.Request) *wechat.Error {
	t.Helper()
	_, err := c.Fetch(ctx, r)
	var e *wechat.Error
	require.ErrorAs(t, err, &e)
	assert.NotEmpty(t, e.Hint, "every error has a hint")
	assert.NotEmpty(t, e.Message)
	return e
}

// Fetch returns a token that WeChat accepts.
func TestFetch_ValidToken(t *testing.T) {
	for _, api := range []wechat.API{wechat.Token, wechat.StableToken} {
		t.Run(string(api), func(t *testing.T) {
			fake, url := newFake(t)
			cred := must(newClient(t, nil, url).Fetch(t.Context(), request(api)))(t)
			assert.Equal(t, 7200*time.Second, cred.ExpiresIn)
			assert.Zero(t, fake.Accepts(cred.Value))
			assert.Equal(t, 1, fake.Requests(appID, string(api)))
		})
	}
}

// must returns v, or ends the test if err is not nil.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}
