package upstream

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/login"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// loginRoutes has the action and the field of each API.
var loginRoutes = map[wechat.API]struct{ action, field string }{
	wechat.CodeToSession: {"login", "js_code"},
	wechat.OAuth:         {"oauth", "code"},
}

const (
	codeUnsent = "the code was not sent and can be sent again; "
	codeLost   = "the code may be used up and is not sent again: get another one; "
)

// Exchange implements login.Exchange. A code is sent once, over a connection of its own.
// Another URL is tried only if nothing was sent, and another bearer token after a 401: the
// upstream checks that before it reads the code.
func (c *Client) Exchange(ctx context.Context, r login.Request) (string, error) {
	var failed *login.Error
	for _, base := range c.bases {
		var answer string
		var status int
		c.authorized(func(bearer string) int {
			answer, status, failed = c.exchangeAt(ctx, base, r, bearer)
			return status
		})
		switch {
		case failed == nil:
			return answer, nil
		case status != unsent:
			return "", failed
		}
	}
	return "", failed
}

// unsent is in place of the status of an answer if nothing was sent.
const unsent = 0

// exchangeAt sends a code to one URL. It returns the answer, and its status.
func (c *Client) exchangeAt(ctx context.Context, base *url.URL, r login.Request, bearer string) (string, int, *login.Error) {
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	route := loginRoutes[r.API]
	req, err := request(httptrace.WithClientTrace(ctx, trace), base, "/v1/"+r.AppID+"/"+route.action, map[string]string{route.field: r.Code}, bearer)
	if err != nil {
		return "", http.StatusBadGateway, &login.Error{Status: http.StatusBadGateway, Code: busyCode, Message: base.Host + ": the request cannot be built", Hint: hint.Fault.English}
	}
	req.GetBody = nil // so that no transport can send the code again
	resp, err := c.single.RoundTrip(req)
	if err != nil {
		failed := unanswered(silent(base.Host, err, !connected.Load()))
		if !connected.Load() {
			return "", unsent, failed
		}
		return "", http.StatusBadGateway, failed
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "", resp.StatusCode, unanswered(silent(base.Host, err, false))
	}
	var got struct { // no other field: the answer is WeChat's, and a number can be a string
		ErrCode json.Number `json:"errcode"`
		ErrMsg  string      `json:"errmsg"`
		Hint    string      `json:"hint"`
		OpenID  string      `json:"openid"`
	}
	err = json.Unmarshal(body, &got)
	code, _ := got.ErrCode.Int64() // absent is 0
	switch {
	case err == nil && code != 0:
		return "", resp.StatusCode, loginRefusal(base.Host, resp, reply{ErrCode: int(code), ErrMsg: got.ErrMsg, Hint: got.Hint}, bearer, r.Code)
	case err != nil || resp.StatusCode != http.StatusOK || got.OpenID == "":
		message, what := notASidecar(base.Host, resp.StatusCode)
		return "", resp.StatusCode, &login.Error{
			Status: http.StatusBadGateway, Code: busyCode, Message: message, Hint: codeLost + what.English, Spent: true,
		}
	}
	return string(body), resp.StatusCode, nil
}

// unanswered returns the failure of a login for that of a request without an answer.
func unanswered(e *wechat.Error) *login.Error {
	if e.Unsent {
		return &login.Error{Status: http.StatusServiceUnavailable, Code: e.Code, Message: e.Message, Hint: codeUnsent + e.Hint.English, RetryAfter: time.Second}
	}
	return &login.Error{Status: http.StatusBadGateway, Code: e.Code, Message: e.Message, Hint: codeLost + e.Hint.English, Spent: true}
}

// loginRefusal returns the failure for an answer with an errcode. That of WeChat, or of an
// upstream that did not send the code, is passed on. Any other is about this sidecar: an
// errcode that is the HTTP status is none of WeChat's. A -1 does not say whether WeChat was
// busy, or its answer was lost: then the code counts as used up.
func loginRefusal(host string, resp *http.Response, got reply, secrets ...string) *login.Error {
	e := &login.Error{Status: resp.StatusCode, Code: got.ErrCode, Message: wechat.Redact(got.ErrMsg, secrets...), Hint: wechat.Redact(got.Hint, secrets...)}
	switch why := refusal(resp, got); resp.StatusCode {
	case http.StatusBadGateway:
		e.Spent = e.Code < 0
	case http.StatusServiceUnavailable:
		e.RetryAfter = why.Wait
	default:
		e.Status, e.Message, e.Hint = http.StatusBadGateway, host+": "+wechat.Redact(why.Message, secrets...), why.Hint.English
		e.Spent = resp.StatusCode >= http.StatusInternalServerError
		if e.Code == resp.StatusCode {
			e.Code = busyCode
		}
	}
	return e
}
