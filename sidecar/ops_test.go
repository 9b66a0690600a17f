package main

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// get is what an ops listener answers.
func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	programtest.AssertNoCanary(t, string(body))
	return string(body)
}

func TestTheOpsListenerCountsWhatTheSidecarDoes(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	start(t, w.Environ)
	eventually(t, func() bool { return programtest.Entry(t, w.Store(t)) != "" }, "a token")
	exit, _, stderr := runCLI(t, w.Environ, "healthcheck")
	assert.Equal(t, exitFine, exit, stderr)
	metrics := get(t, "http://"+w.Ops+"/metrics")
	for _, pattern := range []string{
		`wxsidecar_credential_valid\{appid="` + appID + `",kind="access_token"\} 1`,
		`wxsidecar_wechat_request_duration_seconds_count 1`,
		`wxsidecar_memcached_operations_total\{operation="add"\} [1-9]\d*`,
		`wxsidecar_memcached_up 1`,
		`wxsidecar_build_info\{version="[^"]+"\} 1`,
		`wxsidecar_start_time_seconds 1\d{9}`,
	} {
		assert.Regexp(t, "(?m)^"+pattern+"$", metrics)
	}
	assert.NotContains(t, metrics, "wxsidecar_force_refreshes_remaining{", "it fetches with token")
	assert.Contains(t, get(t, "http://"+w.Ops+"/"), "<h1>The account is well</h1>")
	assert.Contains(t, get(t, "http://"+w.Ops+"/status.json"), `"servers":["`+w.MemcachedAddress+`"]`)
}

// Force refreshes exist for stable_token alone.
func TestOps_CountsForceRefreshes(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	start(t, append(w.Environ, "WECHAT_TOKEN_API=stable_token"))
	eventually(t, func() bool { return programtest.Entry(t, w.Store(t)) != "" }, "a token")
	assert.Contains(t, get(t, "http://"+w.Ops+"/metrics"), `wxsidecar_force_refreshes_remaining{appid="`+appID+`",kind="access_token"} 20`)
}
