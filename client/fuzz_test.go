package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
)

// FuzzSidecarAnswer checks that any answer leads to a valid credential, or to an error
// that does not show the reported one.
func FuzzSidecarAnswer(f *testing.F) {
	f.Add(200, "", []byte(`{"access_token":"canarytoken-0002","expires_in":3123}`))
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		c, err := client.New(client.Config{
			AppID: "wx1",
			Dial:  func(context.Context, string, string) (net.Conn, error) { return nil, errDown },
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)), Request: r,
					Header: http.Header{"Retry-After": {retryAfter}, "Location": {"http://127.0.0.1:1/"}},
				}, nil
			}),
		})
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		for i, ask := range []func() (string, error){
			func() (string, error) { return c.AccessToken(t.Context()) },
			func() (string, error) { return c.Refresh(t.Context(), t0) },
			func() (string, error) { return c.Ticket(t.Context(), client.JSAPI) },
		} {
			got, err := ask()
			if err == nil {
				require.Equal(t, http.StatusOK, status)
				require.True(t, memcache.ValidCredential(got))
				continue
			}
			require.Empty(t, got)
			if i == 1 {
				shown := strings.Contains(err.Error(), t0)
				require.False(t, shown)
			}
			var refused *client.Error
			if errors.As(err, &refused) {
				require.NotZero(t, refused.Code)
				require.GreaterOrEqual(t, refused.RetryAfter.Seconds(), 0.0)
			}
		}
	})
}
