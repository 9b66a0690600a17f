package client

import (
	"context"
	"sync/atomic"
)

// GetAccessToken implements silenceper/wechat's AccessTokenHandle: pass the Client to
// SetAccessTokenHandle. It is AccessToken without a context.
func (c *Client) GetAccessToken() (string, error) {
	return c.AccessToken(context.Background())
}

// GetAccessTokenContext implements silenceper/wechat's AccessTokenContextHandle. It is
// the same as AccessToken.
func (c *Client) GetAccessTokenContext(ctx context.Context) (string, error) {
	return c.AccessToken(ctx)
}

// JsTicketHandle implements silenceper/wechat's JsTicketHandle and
// JsTicketContextHandle. Pass it to SetJsTicketHandle of GetJs(), which otherwise
// requests tickets from WeChat.
type JsTicketHandle struct{ client *Client }

// JsTicketHandle returns the adapter for silenceper/wechat's tickets.
func (c *Client) JsTicketHandle() JsTicketHandle { return JsTicketHandle{c} }

// GetTicket is GetTicketContext without a context.
func (h JsTicketHandle) GetTicket(accessToken string) (string, error) {
	return h.GetTicketContext(context.Background(), accessToken)
}

// GetTicketContext returns the JSAPI ticket. It does not need the token, which is for
// the SDK's own request to WeChat.
func (h JsTicketHandle) GetTicketContext(ctx context.Context, _ string) (string, error) {
	return h.client.Ticket(ctx, JSAPI)
}

// AccessTokenServer implements core.AccessTokenServer of chanxuehong/wechat. Pass it to
// core.NewClient.
type AccessTokenServer struct{ client *Client }

// AccessTokenServer returns the adapter for chanxuehong/wechat.
func (c *Client) AccessTokenServer() AccessTokenServer { return AccessTokenServer{c} }

// Token is AccessToken.
func (s AccessTokenServer) Token() (string, error) {
	return s.client.AccessToken(context.Background())
}

// RefreshToken is Refresh.
func (s AccessTokenServer) RefreshToken(current string) (string, error) {
	return s.client.Refresh(context.Background(), current)
}

// IID01332E16DF5011E5A9D5A4DB30FED8E1 marks the interface and does nothing.
func (AccessTokenServer) IID01332E16DF5011E5A9D5A4DB30FED8E1() {}

// TicketServer implements jssdk.TicketServer of chanxuehong/wechat, and for WXCard
// jssdk.CardTicketServer. It replaces the SDK's own, which requests tickets from WeChat.
type TicketServer struct {
	client *Client
	kind   TicketKind
}

// TicketServer returns the adapter for chanxuehong/wechat's tickets of one kind.
func (c *Client) TicketServer(kind TicketKind) TicketServer { return TicketServer{c, kind} }

// Ticket is Client.Ticket.
func (s TicketServer) Ticket() (string, error) {
	return s.client.Ticket(context.Background(), s.kind)
}

// RefreshTicket is Client.RefreshTicket.
func (s TicketServer) RefreshTicket(current string) (string, error) {
	return s.client.RefreshTicket(context.Background(), s.kind, current)
}

// IIDB04E44A0E1DC11E5ADCEA4DB30FED8E1 marks jssdk.TicketServer and does nothing.
func (TicketServer) IIDB04E44A0E1DC11E5ADCEA4DB30FED8E1() {}

// IIDB9BDD0A1E1DC11E5844AA4DB30FED8E1 marks jssdk.CardTicketServer and does nothing.
func (TicketServer) IIDB9BDD0A1E1DC11E5844AA4DB30FED8E1() {}

// PowerWeChat returns a function for the field AccessToken.GetCustomToken of
// PowerWeChat's apps; M is its object.HashMap, which this package does not import:
//
//	app.AccessToken.GetCustomToken = client.PowerWeChat[object.HashMap](c)
//
// PowerWeChat does not say which token was refused: the function reports the last one
// that it returned. Nor can it return an error, so it returns an empty token instead.
// PowerWeChat then neither fetches a token itself nor panics over a missing field, and
// WeChat answers 41001.
func PowerWeChat[M ~map[string]any](c *Client) func(key string, refresh bool) M {
	var last atomic.Pointer[string]
	return func(_ string, refresh bool) M {
		ctx := context.Background()
		var token string
		var err error
		if returned := last.Load(); refresh && returned != nil {
			token, err = c.Refresh(ctx, *returned)
		} else {
			token, err = c.AccessToken(ctx)
		}
		if err != nil {
			return M{"access_token": "", "expires_in": float64(0)}
		}
		last.Store(&token)
		return M{"access_token": token, "expires_in": MaxLocal.Seconds()}
	}
}
