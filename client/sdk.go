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
