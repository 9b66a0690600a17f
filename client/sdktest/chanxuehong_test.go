package sdktest

import (
	"testing"

	"github.com/chanxuehong/wechat/mp/core"
	"github.com/chanxuehong/wechat/mp/jssdk"
	"github.com/chanxuehong/wechat/mp/user"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// newChanxuehong is the SDK with the README's line. Its HTTP client, nil there,
// leads to the door.
func newChanxuehong(c *client.Client, d *door) *core.Client {
	return core.NewClient(c.AccessTokenServer(), d.client())
}

// TestChanxuehongHealsByItself: the SDK reports a token that was refused with
// 40001 or 42001 through RefreshToken, and repeats the call once.
func TestChanxuehongHealsByItself(t *testing.T) {
	t.Parallel()
	w := newTheft(t)
	sdk := newChanxuehong(w.client(t), w.door)
	info, err := user.Get(sdk, openID, "")
	require.NoError(t, err)
	assert.Equal(t, openID, info.OpenId)

	w.steal(t)
	info, err = user.Get(sdk, openID, "")
	require.NoError(t, err)
	assert.Equal(t, openID, info.OpenId)
	w.assertHealed(t, count{uses: 2, dead: 1})
}

// TestChanxuehongSignsPagesWithTheSidecarsTicket: the SDK signs what it is given,
// so the app takes the ticket from the server, and reports one that WeChat refused.
func TestChanxuehongSignsPagesWithTheSidecarsTicket(t *testing.T) {
	t.Parallel()
	const nonce, now, page = "Wm3WZYTPz0wzccnW", "1414587457", "https://example.com/?a=b"
	w := newSigning(t)
	var processes []jssdk.TicketServer
	for range 2 {
		processes = append(processes, w.client(t).TicketServer(client.JSAPI))
	}
	sign := func() {
		t.Helper()
		for _, server := range processes {
			ticket, err := server.Ticket()
			require.NoError(t, err)
			signature := jssdk.WXConfigSign(ticket, nonce, now, page)
			assert.Equal(t, jssdk.WXConfigSign(w.newest(t), nonce, now, page), signature, "signed with the newest ticket")
		}
	}
	sign()

	_, err := processes[0].RefreshTicket(w.void(t))
	require.NoError(t, err)
	sign()
	w.assertLeftToTheSidecar(t)
}

// Of the kind client.WXCard it signs cards.
var _ jssdk.CardTicketServer = client.TicketServer{}
