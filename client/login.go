package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Session is a mini program's user, whom Login returns. Printed or as JSON, it shows neither
// the session key nor, when printed, who the user is.
type Session struct {
	OpenID string `json:"openid"`
	// UnionID is the same in all accounts of an Open Platform account; "" if WeChat sent none.
	UnionID string `json:"unionid,omitempty"`
	// SessionKey decrypts and signs the user's data. It must never reach the mini program or
	// a page, so it is not in the JSON.
	SessionKey string `json:"-"`
}

// Format prints no field, for every verb.
func (Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "a user's session") }

// LogValue logs no field.
func (Session) LogValue() slog.Value { return slog.StringValue("a user's session") }

// User is a user of a web page, whom OAuth returns. Its tokens are the user's, not the
// account's. They must never reach the page, so they are not in the JSON.
type User struct {
	OpenID string `json:"openid"`
	// UnionID is the same in all accounts of an Open Platform account; "" if WeChat sent none.
	UnionID string `json:"unionid,omitempty"`
	// Scope is what the user granted: snsapi_base or snsapi_userinfo.
	Scope string `json:"scope"`
	// Snapshot is true for the virtual account of a user who only looks at a page.
	Snapshot bool `json:"is_snapshotuser,omitempty"`

	// AccessToken is for WeChat's APIs under /sns/, for ExpiresIn. RefreshToken gets another
	// one.
	AccessToken  string        `json:"-"`
	RefreshToken string        `json:"-"`
	ExpiresIn    time.Duration `json:"-"`
}

// Format prints no field, for every verb.
func (User) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "a user") }

// LogValue logs no field.
func (User) LogValue() slog.Value { return slog.StringValue("a user") }

// Login exchanges the code of wx.login in a mini program. A code works once, so Login sends
// it once. After an error, get another code: only an *Error with a RetryAfter says that this
// one can be sent again. An *Error with code 40029 or 40163 means that the code is invalid or
// was used, and 404 that the sidecar's SIDECAR_LOGIN is not set. No error contains the code.
func (c *Client) Login(ctx context.Context, code string) (Session, error) {
	var got struct {
		Session
		SessionKey string `json:"session_key"`
	}
	err := c.exchange(ctx, "login", "js_code", code, &got)
	got.Session.SessionKey = got.SessionKey
	return got.Session, err
}

// OAuth exchanges the code that WeChat added to the address of a web page. Before that,
// check that the parameter state is the one that your app sent with this user to WeChat.
// Errors are those of Login.
func (c *Client) OAuth(ctx context.Context, code string) (User, error) {
	var got struct {
		OpenID       string      `json:"openid"`
		UnionID      string      `json:"unionid"`
		Scope        string      `json:"scope"`
		Snapshot     json.Number `json:"is_snapshotuser"`
		AccessToken  string      `json:"access_token"`
		RefreshToken string      `json:"refresh_token"`
		ExpiresIn    json.Number `json:"expires_in"`
	}
	err := c.exchange(ctx, "oauth", "code", code, &got)
	seconds, _ := got.ExpiresIn.Int64() // absent is 0
	return User{
		OpenID: got.OpenID, UnionID: got.UnionID, Scope: got.Scope, Snapshot: got.Snapshot == "1",
		AccessToken: got.AccessToken, RefreshToken: got.RefreshToken, ExpiresIn: time.Duration(seconds) * time.Second,
	}, err
}

// exchange sends a code to the sidecar, and reads the answer into got.
func (c *Client) exchange(ctx context.Context, action, field, code string, got any) error {
	err := c.token.usable()
	if err == nil {
		err = c.shared.requests.alone(ctx, func(ctx context.Context) error {
			body, err := json.Marshal(map[string]string{field: code})
			if err != nil {
				return err
			}
			reply, err := c.shared.sidecar.call(ctx, outgoing{
				method: http.MethodPost, path: "/v1/" + c.appID + "/" + action, body: body, secret: code, once: true,
			})
			if err != nil {
				return err
			}
			var user struct{ OpenID string }
			if json.Unmarshal(reply, got) != nil || json.Unmarshal(reply, &user) != nil || user.OpenID == "" {
				return c.shared.sidecar.foreign(http.StatusOK)
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("client: %s of %s: %w", action, c.appID, err)
	}
	return nil
}
