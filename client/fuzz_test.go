package client_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

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
			AppID: "wx1", Memcached: client.Memcached{Dial: dialDown},
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

// FuzzRefusal checks that the caller gets every byte of any answer, and that the pieces
// in which it arrives do not change what it is taken for.
func FuzzRefusal(f *testing.F) {
	for _, row := range readRefusals(f) {
		f.Add(row.Base64)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var verdicts []int
		for _, cut := range []func(io.Reader) io.Reader{iotest.DataErrReader, iotest.OneByteReader, iotest.HalfReader} {
			reports := 0
			c, err := client.New(client.Config{
				AppID: "wx1", Memcached: client.Memcached{Dial: dialDown},
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodPost {
						reports++
					}
					answer := `{"access_token":"` + t1 + `","expires_in":300}`
					return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
				}),
			})
			require.NoError(t, err)
			hc := c.HTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(cut(bytes.NewReader(body)))}, nil
			})})
			resp, err := hc.Get(api + "/x")
			same := read(t, resp, err) == string(body)
			require.True(t, same)
			verdicts = append(verdicts, reports)
			require.NoError(t, c.Close())
		}
		require.Equal(t, verdicts[0], verdicts[1])
		require.Equal(t, verdicts[0], verdicts[2])
	})
}
