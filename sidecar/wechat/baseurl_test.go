package wechat_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Good base URLs are accepted.
func TestCheckBaseURL_Good(t *testing.T) {
	for _, s := range []string{
		"https://api.weixin.qq.com", "https://api.weixin.qq.com/", "HTTPS://api2.weixin.qq.com:8443/prefix",
		"https://10.0.0.1", "https://[2001:db8::1]:443",
		"http://127.0.0.1:8080", "http://127.9.9.9", "http://localhost:1", "http://LOCALHOST", "http://[::1]:80", "http://[::ffff:127.0.0.1]",
	} {
		assert.NoError(t, wechat.CheckBaseURL(s), s)
	}
}

// Bad base URLs are refused.
func TestCheckBaseURL_Bad(t *testing.T) {
	for _, s := range []string{
		"", " ", "api.weixin.qq.com", "api.weixin.qq.com:443", "//api.weixin.qq.com", "https:", "https://", "https:///x", "https://:443",
		"https:api.weixin.qq.com", "ftp://api.weixin.qq.com", "unix:///x",
		"http://api.weixin.qq.com", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.evil.test", "http://127.0.0.1.evil.test", "http://2130706433",
		"https://api.weixin.qq.com?", "https://api.weixin.qq.com/?a=b", "https://api.weixin.qq.com#", "https://api.weixin.qq.com/#x",
		"https://api.weixin.qq.com:", "https://api.weixin.qq.com:0", "https://api.weixin.qq.com:65536", "https://api.weixin.qq.com:x",
		"https://user:canarysecret@api.weixin.qq.com", "https://user@api.weixin.qq.com", "http://127.0.0.1@evil.test",
		"https://a b", "https://a\nb", "https://api.weixin.qq.com, https://api2.weixin.qq.com", "%zz",
		"https://user:canarysecret@%zz", "https://x/?secret=canarysecret",
	} {
		err := wechat.CheckBaseURL(s)
		require.Error(t, err, "%q", s)
		assert.NotContains(t, err.Error(), "canary")
	}
}

// New reports all configuration errors together.
func TestNew_ReportsAllErrors(t *testing.T) {
	c, err := wechat.New(wechat.Config{BaseURLs: []string{"ftp://a", "https://b", "http://c"}, Timeout: -time.Second})
	assert.Nil(t, c)
	require.ErrorContains(t, err, "base URL 1: ")
	require.ErrorContains(t, err, "base URL 3: ")
	require.ErrorContains(t, err, "timeout")
	assert.NotContains(t, err.Error(), "base URL 2")
}

// The zero Config is valid.
func TestNew_ZeroConfig(t *testing.T) {
	c := must(wechat.New(wechat.Config{}))(t)
	c.CloseIdleConnections()
}
