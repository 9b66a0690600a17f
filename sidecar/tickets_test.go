package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// A ticket is for all accounts or for one, each kind once.
func TestTickets_OfAllAccountsOrOne(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(programtest.WriteFile(t, filepath.Join(t.TempDir(), "accounts", "wxA"), testSecret))
	cfg, found := parse([]string{"WECHAT_ACCOUNTS_DIR=" + dir, "WECHAT_TICKETS= jsapi, wxB:wx_card ,wxB:jsapi,"})
	require.Empty(t, found)
	all := cfg.tickets()
	assert.Equal(t, []memcache.Kind{memcache.JSAPITicket}, all.of("wxA"))
	assert.Equal(t, []memcache.Kind{memcache.JSAPITicket, memcache.WXCardTicket}, all.of("wxB"), "each once")
	assert.Equal(t, []string{"wxB"}, all.named())
	assert.Empty(t, config{}.tickets().of("wxA"))
}

// A ticket failure does not affect readiness.
func TestTickets_FailureDoesNotAffectReadiness(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	w.WeChat.OnRequest(func(r wechattest.Request) wechattest.Answer {
		if r.API == "jsapi" {
			return wechattest.Answer{Errcode: 48001}
		}
		return wechattest.Answer{}
	})
	start(t, append(w.Environ, "WECHAT_TICKETS=jsapi"))
	eventually(t, func() bool { return w.WeChat.Requests("", "jsapi") > 0 }, "a ticket was asked for")
	eventually(t, func() bool {
		exit, _, _ := runCLI(t, w.Environ, "healthcheck")
		return exit == exitFine
	}, "ready all the same")
	_, err := newClient(t, w).Ticket(t.Context(), client.JSAPI)
	var refused *client.Error
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 48001, refused.Code)
	_, err = newClient(t, w).Ticket(t.Context(), client.WXCard)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 404, refused.Code)
	assert.Contains(t, err.Error(), "WECHAT_TICKETS")
}

// A ticket of an account without a file is warned of.
func TestTickets_UnknownAccountWarns(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	dir := filepath.Dir(programtest.WriteFile(t, filepath.Join(t.TempDir(), "accounts", "wxA"), testSecret))
	r := start(t, append(w.Environ, "WECHAT_ACCOUNTS_DIR="+dir, "WECHAT_TICKETS=wxB:jsapi"))
	eventually(t, func() bool { return strings.Contains(r.stderr.String(), `"started"`) }, "a line")
	eventually(t, func() bool {
		return strings.Contains(r.stderr.String(), "account of WECHAT_TICKETS not found")
	}, "a warning")
}
