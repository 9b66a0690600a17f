package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

func TestTicketsAreOfAllAccountsOrOfOne(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(writeFile(t, filepath.Join(t.TempDir(), "accounts", "wxA"), testSecret))
	cfg, found := parse([]string{"WECHAT_ACCOUNTS_DIR=" + dir, "WECHAT_TICKETS= jsapi, wxB:wx_card ,wxB:jsapi,"})
	require.Empty(t, found)
	all := cfg.tickets()
	assert.Equal(t, []memcache.Kind{memcache.JSAPITicket}, all.of("wxA"))
	assert.Equal(t, []memcache.Kind{memcache.JSAPITicket, memcache.WXCardTicket}, all.of("wxB"), "each once")
	assert.Equal(t, []string{"wxB"}, all.named())
	assert.Empty(t, config{}.tickets().of("wxA"))
}

// TestATicketGoesFromWeChatToAnApp has a real memcached, and an app with the Go
// client, which knows none of the variables.
func TestATicketGoesFromWeChatToAnApp(t *testing.T) {
	t.Parallel()
	m := newRealMemcached(t)
	w := newWorld(t)
	start(t, append(w.environ, "MEMCACHED_SERVERS="+m.Address, "WECHAT_TICKETS=jsapi,"+appID+":wx_card"))
	c, err := client.New(client.Config{AppID: appID, Servers: []string{m.Address}, Sidecar: "unix://" + w.socket})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	first := map[client.TicketKind]string{}
	for kind, key := range map[client.TicketKind]string{client.JSAPI: appID + ":jsapi_ticket", client.WXCard: appID + ":wx_card_ticket"} {
		eventually(t, func() bool { return m.Ask(t, "get "+key) != "END" }, "an entry")
		assert.True(t, strings.HasPrefix(m.Ask(t, "get "+key), "VALUE "+key+" 0 "), "flags 0")
		ticket, err := c.Ticket(t.Context(), kind)
		require.NoError(t, err)
		assert.Zero(t, w.wechat.AcceptsTicket(ticket), kind)
		first[kind] = ticket
	}
	w.wechat.VoidTickets(appID)
	for kind, ticket := range first {
		fresh, err := c.RefreshTicket(t.Context(), kind, ticket)
		require.NoError(t, err)
		assert.Zero(t, w.wechat.AcceptsTicket(fresh), "another one after a report")
	}
	assert.Equal(t, 1, w.wechat.Calls("", "token"), "one token for them all")
}

func TestTicketsNeverKeepASidecarFromBeingReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wechat.OnCall(func(c wechattest.Call) wechattest.Answer {
		if c.API == "jsapi" {
			return wechattest.Answer{Errcode: 48001}
		}
		return wechattest.Answer{}
	})
	start(t, append(w.environ, "WECHAT_TICKETS=jsapi"))
	eventually(t, func() bool { return w.wechat.Calls("", "jsapi") > 0 }, "a ticket was asked for")
	eventually(t, func() bool {
		exit, _, _ := tell(t, w.environ, "healthcheck")
		return exit == exitFine
	}, "ready all the same")
	_, err := w.client(t).Ticket(t.Context(), client.JSAPI)
	var refused *client.Error
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 48001, refused.Code)
	_, err = w.client(t).Ticket(t.Context(), client.WXCard)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 404, refused.Code)
	assert.Contains(t, err.Error(), "WECHAT_TICKETS")
}

func TestATicketOfAnAccountThatIsNotKeptIsWarnedOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Dir(writeFile(t, filepath.Join(t.TempDir(), "accounts", "wxA"), testSecret))
	r := start(t, append(w.environ, "WECHAT_ACCOUNTS_DIR="+dir, "WECHAT_TICKETS=wxB:jsapi"))
	eventually(t, func() bool { return strings.Contains(r.stderr.String(), `"started"`) }, "a line")
	eventually(t, func() bool {
		return strings.Contains(r.stderr.String(), "WECHAT_TICKETS names an account that is not kept")
	}, "a warning")
}
