package client

import (
	"context"
	"sync/atomic"
)

// GetAccessToken is silenceper/wechat's AccessTokenHandle: pass the Client to
// SetAccessTokenHandle. It is AccessToken without a context.
func (c *Client) GetAccessToken() (string, error) {
	return c.AccessToken(context.Background())
}

// GetAccessTokenContext is silenceper/wechat's AccessTokenContextHandle: the
// same as AccessToken.
func (c *Client) GetAccessTokenContext(ctx context.Context) (string, error) {
	return c.AccessToken(ctx)
}

// JsTicketHandle is silenceper/wechat's JsTicketHandle and its
// JsTicketContextHandle: pass it to SetJsTicketHandle of GetJs(), which otherwise
// calls WeChat for tickets.
type JsTicketHandle struct{ client *Client }

// JsTicketHandle returns the Client as silenceper/wechat wants it for tickets.
func (c *Client) JsTicketHandle() JsTicketHandle { return JsTicketHandle{c} }

// GetTicket is GetTicketContext without a context.
func (h JsTicketHandle) GetTicket(accessToken string) (string, error) {
	return h.GetTicketContext(context.Background(), accessToken)
}

// GetTicketContext is Ticket of the kind JSAPI. The token, with which the SDK
// would call WeChat, is not needed.
func (h JsTicketHandle) GetTicketContext(ctx context.Context, _ string) (string, error) {
	return h.client.Ticket(ctx, JSAPI)
}

// AccessTokenServer is the core.AccessTokenServer of chanxuehong/wechat: pass it
// to core.NewClient.
type AccessTokenServer struct{ client *Client }

// AccessTokenServer returns the Client as chanxuehong/wechat wants it.
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

// TicketServer is the jssdk.TicketServer of chanxuehong/wechat, and where it is of
// the kind WXCard its jssdk.CardTicketServer: take it for the SDK's own, which
// calls WeChat for tickets.
type TicketServer struct {
	client *Client
	kind   TicketKind
}

// TicketServer returns the Client as chanxuehong/wechat wants it for tickets of
// one kind.
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
// PowerWeChat says that a token was refused and not which one; the last that
// this function gave out counts as refused. It cannot pass on an error either: an
// empty token stands for one, so that PowerWeChat neither fetches a token by
// itself nor falls over a missing field, and WeChat answers 41001.
func PowerWeChat[M ~map[string]any](c *Client) func(key string, refresh bool) M {
	var last atomic.Pointer[string]
	return func(_ string, refresh bool) M {
		ctx := context.Background()
		var token string
		var err error
		if given := last.Load(); refresh && given != nil {
			token, err = c.Refresh(ctx, *given)
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
