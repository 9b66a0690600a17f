package wechat_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Reach says which hosts can be reached, and sends no AppSecret.
func TestReach_EachHost(t *testing.T) {
	t.Parallel()
	fake := wechattest.New()
	good, pem, stop, err := fake.ListenTLS()
	require.NoError(t, err)
	t.Cleanup(stop)
	untrusted, _, stop, err := fake.ListenTLS()
	require.NoError(t, err)
	t.Cleanup(stop)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	c, err := wechat.New(wechat.Config{
		BaseURLs:  []string{good, untrusted, "https://unknown.invalid", "http://127.0.0.1:1"},
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
	})
	require.NoError(t, err)
	all := c.Reach(t.Context())
	require.Len(t, all, 4)
	require.Nil(t, all[0].Err)
	assert.Contains(t, good, all[0].Host)
	assert.NotEmpty(t, all[0].Issuer)
	assert.Zero(t, all[0].Ahead)
	for i, says := range map[int]string{1: "certificate", 2: "unknown.invalid", 3: "refused"} {
		require.NotNil(t, all[i].Err)
		assert.Contains(t, all[i].Err.Error(), says)
		assertShowsNothing(t, all[i].Err)
	}
	assert.Contains(t, all[1].Err.Hint.English, "CAs")
	assert.Zero(t, fake.Requests("", ""))
}
