package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// API names a way to fetch a credential. WeChat keeps the two for an access_token
// apart: a token of one never ends a token of the other.
type API string

const (
	// Token is GET /cgi-bin/token: every call issues a new token. 2,000 calls a
	// day for an account.
	Token API = "token"
	// StableToken is POST /cgi-bin/stable_token: the same token until fewer than
	// 300 s of it remain. 10,000 calls a minute, 500,000 a day.
	StableToken API = "stable_token"
	// JSAPI is GET /cgi-bin/ticket/getticket for the ticket that signs pages for the
	// JS-SDK. It asks for an access_token instead of the AppSecret. How many calls a
	// day it allows WeChat does not say: few.
	JSAPI API = "jsapi"
	// WXCard is the same for the ticket that signs cards and coupons.
	WXCard API = "wx_card"
)

// forTicket reports whether it brings a ticket, with an access_token.
func (a API) forTicket() bool { return a == JSAPI || a == WXCard }

// grantType is the one grant that both APIs know.
const grantType = "client_credential"

// Request says what to fetch. However it is printed, it shows no AppSecret and no
// token.
type Request struct {
	// API has no default: the zero value is refused.
	API API
	// AppID must not be empty.
	AppID string
	// Secret is the AppSecret, for an access_token.
	Secret string `json:"-"`
	// Token is the access_token, for a ticket.
	Token string `json:"-"`
	// Force asks stable_token for a new token, which ends the old one at once:
	// 20 times a day, at least 30 s apart. Zero: do not. Refused with [Token],
	// where every call brings a new token.
	Force bool
}

// String shows everything but the AppSecret and the token.
func (r Request) String() string {
	if r.Force {
		return fmt.Sprintf("forced %s of %s", r.API, r.AppID)
	}
	return fmt.Sprintf("%s of %s", r.API, r.AppID)
}

// GoString is String, for %#v.
func (r Request) GoString() string { return "wechat.Request{" + r.String() + "}" }

// Format covers the verbs for which fmt would not ask String, such as %d.
func (r Request) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = io.WriteString(f, r.GoString())
		return
	}
	_, _ = io.WriteString(f, r.String())
}

// LogValue shows what String does.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("api", string(r.API)),
		slog.String("appid", r.AppID),
		slog.Bool("force", r.Force),
	)
}

// check finds what no WeChat needs to be asked about.
func (r Request) check() *Error {
	switch {
	case r.API != Token && r.API != StableToken && !r.API.forTicket():
		return defect("unknown API; it is token, stable_token, jsapi or wx_card")
	case r.AppID == "":
		return defect("no AppID given")
	case r.API.forTicket() && r.Token == "":
		return defect("no access_token given")
	case r.API.forTicket():
	case r.Secret == "":
		e := defect("no AppSecret given")
		e.Class, e.Hint = Person, hint.NoSecret
		return e
	}
	if r.Force && r.API != StableToken {
		return defect("only stable_token can be forced")
	}
	return nil
}

// onHost is the request as it goes to one of WeChat's hosts.
//
// http.Transport repeats a request on its own when a pooled connection turns out
// to be dead and the request is "replayable": a GET without a body is. WeChat
// may have read the first one all the same:
//
//  1. the request goes out on a kept connection; WeChat issues token 2
//  2. a middlebox resets the connection before the answer
//  3. the transport sends the request again; WeChat issues token 3
//  4. the caller sees one call and one token; token 1 is dead 300 s early
//
// A body that cannot be rewound makes the GET non-replayable. It is empty, so
// nothing of it reaches the wire. A POST is never replayed, unless nothing at
// all of it was written.
func (r Request) onHost(ctx context.Context, base *url.URL) (*http.Request, error) {
	method, path, query, body := http.MethodGet, "cgi-bin/token", url.Values{}, io.Reader(nil)
	switch r.API {
	case Token:
		query = url.Values{"grant_type": {grantType}, "appid": {r.AppID}, "secret": {r.Secret}}
	case JSAPI, WXCard:
		path, query = "cgi-bin/ticket/getticket", url.Values{"access_token": {r.Token}, "type": {string(r.API)}}
	case StableToken:
		method, path = http.MethodPost, "cgi-bin/stable_token"
		text, err := json.Marshal(map[string]any{
			"grant_type": grantType, "appid": r.AppID, "secret": r.Secret, "force_refresh": r.Force,
		})
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	target := base.JoinPath(path)
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	if body == nil {
		req.Body = io.NopCloser(bytes.NewReader(nil))
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	// Asking for "identity" ourselves keeps every transport from decompressing.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "wxsidecar")
	return req, nil
}
