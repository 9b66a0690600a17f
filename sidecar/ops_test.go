package main

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
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
	w := newWorld(t)
	start(t, w.environ)
	eventually(t, func() bool { return entry(t, w.store(t)) != "" }, "a token")
	exit, _, stderr := tell(t, w.environ, "healthcheck")
	assert.Equal(t, exitFine, exit, stderr)
	metrics := get(t, "http://"+w.ops+"/metrics")
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
	assert.Contains(t, get(t, "http://"+w.ops+"/"), "<h1>The account is well</h1>")
	assert.Contains(t, get(t, "http://"+w.ops+"/status.json"), `"servers":["`+w.server+`"]`)
}

func TestForcedRenewalsAreCountedWhereStableTokenIsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start(t, append(w.environ, "WECHAT_TOKEN_API=stable_token"))
	eventually(t, func() bool { return entry(t, w.store(t)) != "" }, "a token")
	assert.Contains(t, get(t, "http://"+w.ops+"/metrics"), `wxsidecar_force_refreshes_remaining{appid="`+appID+`",kind="access_token"} 20`)
}

func TestTheDemosStatusPageShowsOneIllAccountOfThree(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var out, errs programtest.Output
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"demo"}, nil, &out, &errs) }()
	address := ""
	eventually(t, func() bool {
		found := regexp.MustCompile(`sidecar a .*status page: http://(\S+)/\n`).FindStringSubmatch(out.String())
		if found != nil {
			address = found[1]
		}
		return found != nil
	}, "the address of the status page")
	page := ""
	eventually(t, func() bool {
		page = get(t, "http://"+address+"/")
		return strings.Contains(page, "1 of 3 accounts is ill") && strings.Count(page, `<article class="ok"`) == 2
	}, "a page with one ill account")
	assert.Regexp(t, `(?s)<article class="ill"><header><h2>wxdemo\w+-ill</h2>.*errcode 40125`, page)
	exit, table, _ := tell(t, []string{"SIDECAR_OPS_LISTEN=" + address}, "status")
	assert.Equal(t, exitFailed, exit)
	assert.Regexp(t, `(?m)^ill +wxdemo\w+-ill .*\n  errcode 40125`, table)
	assert.Regexp(t, `(?m)sidecar a +wxdemo\w+-ill: renewal failed`, out.String())
	stop()
	assert.Equal(t, exitFine, <-ended, out.String())
	assert.Empty(t, errs.String())
}
