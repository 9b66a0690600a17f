package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A misspelled variable is found with the nearest known name.
func TestUnknownVariables_NearestName(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []unknownVariable{
		{"MEMCACHED_PREFIX", "MEMCACHED_KEY_PREFIX"},
		{"MEMCACHED_SERVER", "MEMCACHED_SERVERS"},
		{"SIDECAR_LISTENS", "SIDECAR_LISTEN"},
		{"WECHAT_APPID_", "WECHAT_APPID"},
		{"WECHAT_APPSECRETFILE", "WECHAT_APPSECRET_FILE"},
	}, unknownVariables([]string{
		"WECHAT_APPID_=x", "SIDECAR_LISTENS=x", "MEMCACHED_SERVER=x", "WECHAT_APPSECRETFILE=x", "MEMCACHED_PREFIX=x",
		"PATH=x", "LOG_LEVELS=x", "WECHAT_APPID=x", "wechat_appid=x",
	}))
}

// A variable of a later version is unknown.
func TestUnknownVariables_LaterVersion(t *testing.T) {
	t.Parallel()
	var names []string
	for _, u := range unknownVariables([]string{"MIRROR_REDIS=x", "WECHAT_PROXY=x"}) {
		names = append(names, u.name)
		assert.NotEmpty(t, u.nearest)
	}
	assert.Equal(t, []string{"MIRROR_REDIS", "WECHAT_PROXY"}, names)
}

// Variables of Kubernetes Services and of the client are not reported.
func TestUnknownVariables_IgnoresOthers(t *testing.T) {
	t.Parallel()
	assert.Empty(t, unknownVariables([]string{
		"MEMCACHED_SERVICE_HOST=10.0.0.1", "MEMCACHED_SERVICE_PORT=11211", "MEMCACHED_SERVICE_PORT_MEMCACHED=11211",
		"MEMCACHED_PORT=tcp://10.0.0.1:11211", "MEMCACHED_PORT_11211_TCP=tcp://10.0.0.1:11211",
		"MEMCACHED_PORT_11211_TCP_PROTO=tcp", "MEMCACHED_PORT_11211_TCP_PORT=11211", "MEMCACHED_PORT_11211_TCP_ADDR=10.0.0.1",
		"SIDECAR_URL=http://127.0.0.1:7200", "WECHAT_API_SERVICE_HOST=10.0.0.2",
	}))
}

func TestDistance_CountsChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "adc", 1}, {"abc", "bc", 1}, {"kitten", "sitting", 3}} {
		assert.Equal(t, c.want, distance(c.a, c.b), "%s %s", c.a, c.b)
		assert.Equal(t, c.want, distance(c.b, c.a), "%s %s", c.b, c.a)
	}
}
