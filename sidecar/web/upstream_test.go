package web_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/upstream"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
)

// A sidecar that asks is also told the number of the record, and the time until the token
// expires. An app is not.
func TestUpstream_NumberAndLife(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	dial := serve(t, h.compat(t, ""), "127.0.0.1:0")
	type reply struct {
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"`
		Number    int64  `json:"number"`
		Life      int64  `json:"life"`
	}
	read := func(a ask) (got reply) {
		answer := a.over(t, dial)
		require.Equal(t, http.StatusOK, answer.status)
		require.NoError(t, json.Unmarshal([]byte(answer.body), &got))
		return got
	}
	app := read(ask{target: tokenPath})
	assert.Zero(t, app.Number)
	assert.Zero(t, app.Life)
	header := []string{upstream.Header + ": 1"}
	got := read(ask{target: tokenPath, header: header})
	assert.Equal(t, memcache.Fingerprint(app.Token), memcache.Fingerprint(got.Token))
	assert.Greater(t, got.Number, int64(1_700_000_000_000))
	assert.InDelta(t, 7200, got.Life, 5)
	assert.InDelta(t, 3575, got.ExpiresIn, 5)
	fresh := read(ask{method: "POST", target: tokenPath + "/refresh", header: header, body: `{"rejected":"` + got.Token + `"}`})
	assert.Greater(t, fresh.Number, got.Number)
	compat := classic(appID)
	compat.header = header
	assert.Zero(t, read(compat).Number)
}

// A sidecar that has an upstream itself refuses other sidecars, and serves apps.
func TestUpstream_OneHop(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	api, err := web.NewAPI(web.APIConfig{Group: h.group, Upstream: true, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	dial := serve(t, api, "127.0.0.1:0")
	assert.Equal(t, http.StatusOK, ask{target: tokenPath}.over(t, dial).status)
	golden(t, "upstream_chain", ask{target: tokenPath, header: []string{upstream.Header + ": 1"}}.over(t, dial).String())
}
