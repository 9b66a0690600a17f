package client_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// The interfaces as the SDKs declare them, which this module does not import.
var (
	_ interface{ GetAccessToken() (string, error) } = (*client.Client)(nil) // silenceper/wechat
	_ interface {
		GetAccessTokenContext(ctx context.Context) (string, error)
	} = (*client.Client)(nil)
	_ interface {
		GetTicket(accessToken string) (ticket string, err error)
		GetTicketContext(ctx context.Context, accessToken string) (ticket string, err error)
	} = client.JsTicketHandle{}
	_ interface {
		Token() (token string, err error)
		RefreshToken(currentToken string) (token string, err error)
		IID01332E16DF5011E5A9D5A4DB30FED8E1()
	} = client.AccessTokenServer{} // chanxuehong/wechat
	_ interface {
		Ticket() (ticket string, err error)
		RefreshTicket(currentTicket string) (ticket string, err error)
		IIDB04E44A0E1DC11E5ADCEA4DB30FED8E1()
		IIDB9BDD0A1E1DC11E5844AA4DB30FED8E1()
	} = client.TicketServer{}
	_ func(string, bool) hashMap = client.PowerWeChat[hashMap](nil) // PowerWeChat
)

type hashMap map[string]any

// silenceper/wechat gets the token.
func TestSilenceper_Token(t *testing.T) {
	f := setup(t)
	token, err := f.GetAccessToken()
	require.NoError(t, err)
	assert.Equal(t, t1, token)
	token, err = f.GetAccessTokenContext(t.Context())
	require.NoError(t, err)
	assert.Equal(t, t1, token)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.GetAccessTokenContext(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}

// silenceper/wechat gets the ticket.
func TestSilenceper_Ticket(t *testing.T) {
	f := setup(t)
	f.memcached.Put("wx1:jsapi_ticket", t2, 0, 3600)
	handle := f.JsTicketHandle()
	ticket, err := handle.GetTicket(t1)
	require.NoError(t, err)
	assert.Equal(t, t2, ticket, "the ticket, and not the token")
	ticket, err = handle.GetTicketContext(t.Context(), t1)
	require.NoError(t, err)
	assert.Equal(t, t2, ticket, "the ticket, and not the token")
	assert.Zero(t, f.sidecar.asked())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.memcached.Flush()
	_, err = handle.GetTicketContext(ctx, t1)
	assert.ErrorIs(t, err, context.Canceled)
}

// chanxuehong/wechat gets the token and reports it.
func TestChanxuehong_Token(t *testing.T) {
	f := setup(t)
	server := f.AccessTokenServer()
	server.IID01332E16DF5011E5A9D5A4DB30FED8E1()
	token, err := server.Token()
	require.NoError(t, err)
	assert.Equal(t, t1, token)
	token, err = server.RefreshToken("") // how the SDK asks for the current one
	require.NoError(t, err)
	assert.Equal(t, t1, token)
	token, err = server.RefreshToken(t1)
	require.NoError(t, err)
	assert.Equal(t, t2, token)
}

// chanxuehong/wechat gets tickets and reports them.
func TestChanxuehong_Ticket(t *testing.T) {
	for kind, name := range map[client.TicketKind]string{client.JSAPI: "jsapi_ticket", client.WXCard: "wx_card_ticket"} {
		f := setup(t)
		f.memcached.Put("wx1:"+name, t1, 0, 3600)
		f.sidecar.current["wx1/"+name] = t1
		server := f.TicketServer(kind)
		server.IIDB04E44A0E1DC11E5ADCEA4DB30FED8E1()
		server.IIDB9BDD0A1E1DC11E5844AA4DB30FED8E1()
		ticket, err := server.Ticket()
		require.NoError(t, err)
		assert.Equal(t, t1, ticket, "the ticket of memcached")
		require.Zero(t, f.sidecar.asked())
		ticket, err = server.RefreshTicket("") // the current one, as for tokens
		require.NoError(t, err)
		assert.Equal(t, t1, ticket, "the current one")
		assert.Empty(t, f.sidecar.reports())
		ticket, err = server.RefreshTicket(t1)
		require.NoError(t, err)
		assert.Equal(t, t2, ticket, "the next one")
		assert.Len(t, f.sidecar.reports(), 1)
	}
}

// PowerWeChat reports the token that it got last.
func TestPowerWeChat_Report(t *testing.T) {
	f := setup(t)
	custom := client.PowerWeChat[hashMap](f.Client)

	got := custom("key", true) // it had none before, so none was refused
	assert.Equal(t, t1, got["access_token"])
	assert.Empty(t, f.sidecar.reports())
	assert.IsType(t, float64(0), got["expires_in"])

	got = custom("key", true)
	assert.Equal(t, t2, got["access_token"])
	reports := f.sidecar.reports()
	require.Len(t, reports, 1)
	assert.Equal(t, t1, reports[0])

	f.memcached.Put("wx1", t2, 0, 3600)
	got = custom("key", false)
	assert.Equal(t, t2, got["access_token"])
}

// PowerWeChat gets an empty token instead of an error.
func TestPowerWeChat_Error(t *testing.T) {
	f := setup(t)
	f.memcached.Flush()
	f.sidecar.down = errDown
	assert.Equal(t, hashMap{"access_token": "", "expires_in": float64(0)}, client.PowerWeChat[hashMap](f.Client)("key", false))
}
