package wechat

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// API is one of WeChat's APIs for credentials. The two APIs for an access_token are
// independent: a token of one never invalidates a token of the other.
type API string

const (
	// Token is GET /cgi-bin/token. Each request issues a new token. An account has
	// 2,000 requests a day.
	Token API = "token"
	// StableToken is POST /cgi-bin/stable_token. It returns the same token until fewer
	// than 300 s remain. An account has 10,000 requests a minute, and 500,000 a day.
	StableToken API = "stable_token"
	// JSAPI is GET /cgi-bin/ticket/getticket for the ticket that signs pages for the
	// JS-SDK. It needs an access_token instead of the AppSecret. WeChat does not
	// publish its low daily quota.
	JSAPI API = "jsapi"
	// WXCard is the same API for the ticket that signs cards and coupons.
	WXCard API = "wx_card"
	// CodeToSession is GET /sns/jscode2session, which exchanges the code of a mini program's
	// user: see [Client.Exchange].
	CodeToSession API = "jscode2session"
	// OAuth is GET /sns/oauth2/access_token, which exchanges the code of a user of a web page.
	OAuth API = "oauth2/access_token"

	// quotaGet is POST /cgi-bin/openapi/quota/get, see [Client.Check] and [Client.Quota].
	quotaGet API = "openapi/quota/get"
	// clearQuota is POST /cgi-bin/clear_quota/v2, see [Client.ClearQuota].
	clearQuota API = "clear_quota/v2"
)

// forTicket reports whether the API returns a ticket for an access_token.
func (a API) forTicket() bool { return a == JSAPI || a == WXCard }

// withToken reports whether the API needs an access_token instead of the AppSecret.
func (a API) withToken() bool { return a.forTicket() || a == quotaGet }

// exchanges reports whether the API exchanges a user's code.
func (a API) exchanges() bool { return a == CodeToSession || a == OAuth }

const (
	// grantType is the only grant type of both APIs for an access_token.
	grantType = "client_credential"
	// codeGrantType is that of a user's code.
	codeGrantType = "authorization_code"
)

// Request says what to request. It shows no AppSecret and no credential, however it
// is printed.
type Request struct {
	// API is required.
	API API
	// AppID is required.
	AppID string
	// Secret is the AppSecret, for an access_token.
	Secret string `json:"-"`
	// Token is the access_token, for a ticket.
	Token string `json:"-"`
	// Code is a user's code, for CodeToSession and OAuth.
	Code string `json:"-"`
	// Held is the credential that the caller holds. If the classic API returns another one,
	// that must live for at least 10 s. Empty: any is another one.
	Held string `json:"-"`
	// Force makes stable_token issue a new token and invalidate the previous one at
	// once. WeChat allows it 20 times a day, at least 30 s apart. It is an error
	// with any other API.
	Force bool

	verifies bool // see Client.Verify
	about    API  // of quotaGet: whose count; empty: Token
}

// String returns everything but the AppSecret and the credentials.
func (r Request) String() string {
	if r.Force {
		return fmt.Sprintf("%s of %s with force_refresh", r.API, r.AppID)
	}
	return fmt.Sprintf("%s of %s", r.API, r.AppID)
}

// GoString is String, for %#v.
func (r Request) GoString() string { return "wechat.Request{" + r.String() + "}" }

// Format is for the verbs for which fmt does not call String, such as %d.
func (r Request) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = io.WriteString(f, r.GoString())
		return
	}
	_, _ = io.WriteString(f, r.String())
}

// LogValue returns what String does.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("api", string(r.API)),
		slog.String("appid", r.AppID),
		slog.Bool("force", r.Force),
	)
}

// check returns an error if the request makes no sense.
func (r Request) check() *Error {
	switch {
	case r.API != Token && r.API != StableToken && r.API != clearQuota && !r.API.withToken() && !r.API.exchanges():
		return defect("unknown API; use token, stable_token, jsapi, wx_card, jscode2session or oauth2/access_token")
	case r.AppID == "":
		return defect("no AppID given")
	case r.API.withToken() && r.Token == "":
		return defect("no access_token given")
	case r.API.withToken():
	case r.Secret == "":
		e := defect("no AppSecret given")
		e.Class, e.Hint = Person, hint.NoSecret
		return e
	case r.API.exchanges() && r.Code == "":
		return defect("no code given")
	}
	if r.Force && r.API != StableToken {
		return defect("force_refresh is for stable_token only")
	}
	return nil
}

// onHost returns the HTTP request to one of WeChat's hosts.
//
// http.Transport repeats a "replayable" request if a kept connection turns out to be
// broken. A GET without a body is replayable. But WeChat may have read the first one:
//
//  1. The request is sent over a kept connection. WeChat issues token 2.
//  2. A middlebox resets the connection before the answer.
//  3. The transport sends the request again. WeChat issues token 3.
//  4. The caller sees one request and one token. Token 1 is invalid 300 s early.
//
// A body that cannot be rewound makes the GET non-replayable. It is empty, so it adds
// nothing to the wire. A POST is repeated only if no byte of it was written.
func (r Request) onHost(ctx context.Context, base *url.URL) (*http.Request, error) {
	method, path, query := http.MethodGet, "cgi-bin/token", url.Values{}
	var post map[string]any // the body of a POST
	switch r.API {
	case Token:
		query = url.Values{"grant_type": {grantType}, "appid": {r.AppID}, "secret": {r.Secret}}
	case JSAPI, WXCard:
		path, query = "cgi-bin/ticket/getticket", url.Values{"access_token": {r.Token}, "type": {string(r.API)}}
	case CodeToSession:
		path = "sns/jscode2session"
		query = url.Values{"grant_type": {codeGrantType}, "appid": {r.AppID}, "secret": {r.Secret}, "js_code": {r.Code}}
	case OAuth:
		path = "sns/oauth2/access_token"
		query = url.Values{"grant_type": {codeGrantType}, "appid": {r.AppID}, "secret": {r.Secret}, "code": {r.Code}}
	case StableToken:
		method, path = http.MethodPost, "cgi-bin/stable_token"
		post = map[string]any{"grant_type": grantType, "appid": r.AppID, "secret": r.Secret, "force_refresh": r.Force}
	case quotaGet:
		method, path, query = http.MethodPost, "cgi-bin/openapi/quota/get", url.Values{"access_token": {r.Token}}
		post = map[string]any{"cgi_path": "/cgi-bin/" + string(cmp.Or(r.about, Token))}
	case clearQuota:
		method, path = http.MethodPost, "cgi-bin/clear_quota/v2"
		post = map[string]any{"appid": r.AppID, "appsecret": r.Secret}
	}
	var body io.Reader
	if post != nil {
		text, err := json.Marshal(post)
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
	// With an explicit "identity" no transport decompresses the answer.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "wxsidecar")
	if r.verifies {
		req.Header.Set("User-Agent", "wxsidecar/verify")
	}
	return req, nil
}
