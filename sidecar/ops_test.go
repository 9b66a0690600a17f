package main

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// get returns what an ops listener answers.
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

// The ops listener has metrics, page and status of a running sidecar.
func TestOps_CountsRequests(t *testing.T) {
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
	assert.Contains(t, get(t, "http://"+w.Ops+"/"), "<h1>The account is healthy</h1>")
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

// Commands that ask the sidecar end with 2 if there is no ops listener, and with 1 if
// nothing answers there.
func TestOps_CommandsWithoutASidecar(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"healthcheck", "status"} {
		for _, listen := range []string{"off", "canarysecret"} {
			exit, _, stderr := runCLI(t, []string{"SIDECAR_OPS_LISTEN=" + listen}, command)
			assert.Equal(t, exitBadUsage, exit, command)
			assert.Contains(t, stderr, "SIDECAR_OPS_LISTEN")
			programtest.AssertNoCanary(t, stderr)
		}
		exit, stdout, stderr := runCLI(t, []string{"SIDECAR_OPS_LISTEN=" + programtest.Address(t)}, command)
		assert.Equal(t, exitFailed, exit, command)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "connection refused")
		assert.Contains(t, stderr, "check that it is running")
	}
}
