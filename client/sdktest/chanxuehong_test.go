package sdktest

import (
	"testing"

	"github.com/chanxuehong/wechat/mp/core"
	"github.com/chanxuehong/wechat/mp/jssdk"
	"github.com/chanxuehong/wechat/mp/user"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// chanxuehong connects the SDK with the README's line. Its HTTP client, nil there,
// leads to the endpoint.
func chanxuehong(c *client.Client, e *endpoint) func() error {
	sdk := core.NewClient(c.AccessTokenServer(), e.client())
	return func() error {
		info, err := user.Get(sdk, openID, "")
		if err != nil {
			return err
		}
		return sameUser(info.OpenId)
	}
}

// chanxuehongSignature returns a signature with the ticket of the TicketServer, and one
// with the newest ticket: the SDK signs with the ticket that the app passes.
func chanxuehongSignature(t *testing.T, c *client.Client, _ *endpoint, newest func() string) (got, want string) {
	t.Helper()
	const nonce, now, page = "Wm3WZYTPz0wzccnW", "1414587457", "https://example.com/?a=b"
	ticket, err := c.TicketServer(client.JSAPI).Ticket()
	require.NoError(t, err)
	return jssdk.WXConfigSign(ticket, nonce, now, page), jssdk.WXConfigSign(newest(), nonce, now, page)
}

// For the kind client.WXCard it signs cards.
var _ jssdk.CardTicketServer = client.TicketServer{}
