package wechat_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// A broken kept connection does not issue a second token.
func TestFetch_BrokenKeptConnection(t *testing.T) {
	for _, api := range []wechat.API{wechat.Token, wechat.StableToken} {
		t.Run(string(api), func(t *testing.T) {
			fake, url := newFake(t)
			fake.OnRequest(func(r wechattest.Request) wechattest.Answer {
				if r.N == 2 {
					return wechattest.Answer{Kind: wechattest.IssuedNoAnswer}
				}
				return wechattest.Answer{}
			})
			var reused atomic.Bool
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				GotConn: func(info httptrace.GotConnInfo) { reused.Store(info.Reused) },
			})
			c := newClient(t, &http.Transport{}, url)
			_ = must(c.Fetch(ctx, request(wechat.StableToken)))(t)
			e := failure(ctx, t, c, request(api))
			require.True(t, reused.Load(), "the second request used the kept connection")
			assert.True(t, e.MayHaveIssued)
			assert.Equal(t, 2, fake.Requests("", ""), "the second request was sent once")
		})
	}
}

// The default transport keeps no connection.
func TestFetch_KeepsNoConnection(t *testing.T) {
	_, url := newFake(t)
	var reused atomic.Bool
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { reused.Store(reused.Load() || info.Reused) },
	})
	c := newClient(t, nil, url)
	for range 3 {
		_ = must(c.Fetch(ctx, request(wechat.Token)))(t)
	}
	assert.False(t, reused.Load())
}

// The classic request has no body on the wire.
func TestFetch_ClassicHasNoBody(t *testing.T) {
	requests := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- r }))
	t.Cleanup(server.Close)
	e := failure(t.Context(), t, newClient(t, nil, server.URL+"/prefix/"), request(wechat.Token))
	assert.True(t, e.MayHaveIssued)
	got := <-requests
	assert.Zero(t, got.ContentLength)
	assert.Empty(t, got.TransferEncoding)
	assert.Equal(t, "/prefix/cgi-bin/token", got.URL.Path)
}

// No answer is decompressed.
func TestFetch_DecompressesNothing(t *testing.T) {
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	for range 4 {
		_ = must(packer.Write(bytes.Repeat([]byte(" "), 1<<20)))(t)
	}
	require.NoError(t, packer.Close())
	asked := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}))
	t.Cleanup(server.Close)
	for _, transport := range []http.RoundTripper{nil, &http.Transport{DisableKeepAlives: true}} {
		e := failure(t.Context(), t, newClient(t, transport, server.URL), request(wechat.Token))
		assert.True(t, e.MayHaveIssued)
		assert.Equal(t, "identity", <-asked)
	}
}
