package web_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// A ticket is given and renewed like a token.
func TestAPI_Ticket(t *testing.T) {
	h := newTestSidecar(t, nil)
	h.wechat.AddAccount(appID, secret)
	require.NoError(t, h.group.SetAccounts([]keeper.Account{{
		AppID: appID, Secret: func() (string, error) { return secret, nil }, Tickets: []memcache.Kind{memcache.WXCardTicket},
	}}))
	dial := serve(t, h.api(t, ""), "127.0.0.1:0")
	ticket := func(got answer) string {
		require.Equal(t, http.StatusOK, got.status)
		var body map[string]any
		require.NoError(t, json.Unmarshal([]byte(got.body), &body))
		require.Len(t, body, 2, "ticket and expires_in")
		assert.InDelta(t, 3300, body["expires_in"], 2)
		value, _ := body["ticket"].(string)
		assert.Zero(t, h.wechat.AcceptsTicket(value))
		return value
	}
	const path = "/v1/" + appID + "/wx_card_ticket"
	first := ticket(ask{target: path}.over(t, dial))
	second := ticket(ask{method: "POST", target: path + "/refresh", body: `{"rejected":"` + first + `"}`}.over(t, dial))
	same := first == second
	assert.False(t, same)
	assert.Equal(t, http.StatusMethodNotAllowed, ask{method: "POST", target: path, body: `{}`}.over(t, dial).status)
}
