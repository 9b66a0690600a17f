package systemtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// A ticket reaches an app with the Go client over a real memcached.
func TestTickets_ReachAnApp(t *testing.T) {
	t.Parallel()
	m := newRealMemcached(t)
	w := programtest.NewBackends(t)
	spawn(t, append(w.Environ, "MEMCACHED_SERVERS="+m.Address, "WECHAT_TICKETS=jsapi,"+appID+":wx_card"))
	c, err := client.New(client.Config{AppID: appID, Servers: []string{m.Address}, Sidecar: "unix://" + w.Socket})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	first := map[client.TicketKind]string{}
	for kind, key := range map[client.TicketKind]string{client.JSAPI: appID + ":jsapi_ticket", client.WXCard: appID + ":wx_card_ticket"} {
		eventually(t, func() bool { return m.Ask(t, "get "+key) != "END" }, "an entry")
		assert.True(t, strings.HasPrefix(m.Ask(t, "get "+key), "VALUE "+key+" 0 "), "flags 0")
		ticket, err := c.Ticket(t.Context(), kind)
		require.NoError(t, err)
		assert.Zero(t, w.WeChat.AcceptsTicket(ticket), kind)
		first[kind] = ticket
	}
	w.WeChat.VoidTickets(appID)
	for kind, ticket := range first {
		fresh, err := c.RefreshTicket(t.Context(), kind, ticket)
		require.NoError(t, err)
		assert.Zero(t, w.WeChat.AcceptsTicket(fresh), "another one after a report")
	}
	assert.Equal(t, 1, w.WeChat.Requests("", "token"), "one token for them all")
}
