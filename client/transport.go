package client

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// HTTPClient returns a copy of base (nil means http.DefaultClient) that adds the
// access_token to the query of requests to WeChat. If WeChat refuses the token with
// 40001, 40014 or 42001, it reports the token and repeats the request once.
//
// It adds the token to requests over https to api.weixin.qq.com, a host below it,
// api2.weixin.qq.com or one of Config.WeChatHosts. It does not change a request that
// has a query parameter whose name ends in access_token (component_access_token,
// cloudbase_access_token), or that goes to a path with another credential (/sns/,
// /cgi-bin/component/, /cgi-bin/token and similar ones). It decides anew for each hop
// of a redirect. The token is visible only in the request that carries it: not in
// Response.Request, a Referer, a redirect's address or an error.
//
// To find the errcode it waits for an answer's first bytes. If the first is a brace, it
// reads on to the errcode, at most 64 KiB. The Content-Type does not matter, and the
// caller still gets every byte. It does not decode an answer that is compressed because
// the caller asked for that.
//
// WeChat refuses some requests with any token, because of their body or because they
// need another kind. So if it refuses a renewed token on the same method and path too,
// these are reported again after 31 s, then 1, 2, 4, 8, and every 10 min, until a
// success. Others are reported at once.
//
// WeChat does not execute a request that it refuses, so any method can be repeated.
// The second body comes from Request.GetBody, which net/http sets for buffers and
// strings. A body without it is recorded while it is sent, up to 1 MiB. If a request
// cannot be repeated, or no other token exists, the caller gets WeChat's first answer.
func (c *Client) HTTPClient(base *http.Client) *http.Client {
	if base == nil {
		base = http.DefaultClient
	}
	hc := *base
	if hc.Transport == nil {
		hc.Transport = http.DefaultTransport
	}
	hc.Transport = &transport{client: c, next: hc.Transport}
	return &hc
}

// transport adds the token to requests. net/http calls it once for each hop of a
// redirect. It builds a Referer from the request that it passes here, so that one
// stays without the token.
type transport struct {
	client *Client
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.client.shared.hosts.wants(req) {
		return t.next.RoundTrip(req)
	}
	token, err := t.client.AccessToken(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	body := newReplay(req)
	resp, err := t.send(req, body.first(), token)
	if err != nil || !t.refused(resp, token) {
		return resp, err
	}
	// Also if this request cannot be repeated: the next one needs the new token.
	fresh, err := t.client.Refresh(req.Context(), token)
	if refusal := tooEarly(err); refusal != nil {
		t.client.backoff.inVain(pairOf(req), refusal.RetryAfter)
	}
	if fresh == token {
		t.client.backoff.inVain(pairOf(req), waits[0])
	}
	if err != nil || fresh == token {
		return resp, nil //nolint:nilerr // WeChat's answer says more than a failed report
	}
	again, ok := body.again()
	if !ok {
		return resp, nil
	}
	_ = resp.Body.Close() // without waiting for its rest
	if resp, err = t.send(req, again, fresh); err == nil {
		t.refused(resp, fresh)
	}
	return resp, err
}

// refused reports whether WeChat refused the token, and that is to be reported.
func (t *transport) refused(resp *http.Response, token string) (due bool) {
	c, p := t.client, pairOf(resp.Request)
	switch errcodeOf(resp) {
	case 40001, 40014, 42001: // not 48001: the token is valid, and the account not authorized
		return c.backoff.refused(p, token, c.token.replaced(token))
	case 0:
		if resp.StatusCode < http.StatusMultipleChoices {
			c.backoff.succeeded(p)
		}
	}
	return false
}

// send sends a copy of req with body and token.
func (t *transport) send(req *http.Request, body io.ReadCloser, token string) (*http.Response, error) {
	sent := req.WithContext(req.Context()) // a shallow copy
	u := *req.URL
	u.Host = strings.ToLower(u.Host) // http.ProxyFromEnvironment exempts localhost, and no other spelling
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "access_token=" + url.QueryEscape(token)
	sent.URL = &u
	sent.Body = body
	resp, err := t.next.RoundTrip(sent)
	if err != nil {
		return nil, conceal(err, token)
	}
	resp.Request = req
	concealLocation(resp.Header, token)
	return resp, nil
}

// concealLocation removes the token from a redirect's address, in which some servers
// repeat the whole query. If that fails it removes the address.
func concealLocation(header http.Header, token string) {
	location := header.Get("Location")
	if location == "" || !mentions(location, token) {
		return
	}
	header.Del("Location")
	u, err := url.Parse(location)
	if err != nil {
		return
	}
	query := u.Query()
	query.Del("access_token")
	u.RawQuery = query.Encode()
	if location = u.String(); !mentions(location, token) {
		header.Set("Location", location)
	}
}

func mentions(text, token string) bool {
	return strings.Contains(text, token) || strings.Contains(text, url.QueryEscape(token)) ||
		strings.Contains(text, url.PathEscape(token))
}

// conceal returns err, or if its text has the token an equal error without it: a
// user's transport can wrap a *url.Error with the whole address.
func conceal(err error, token string) error {
	if !mentions(err.Error(), token) {
		return err
	}
	return &concealed{
		text: redact(err.Error(), token, url.QueryEscape(token), url.PathEscape(token)),
		err:  err,
	}
}

// concealed does not unwrap to err, whose text has the token.
type concealed struct {
	text string
	err  error
}

func (c *concealed) Error() string        { return c.text }
func (c *concealed) Is(target error) bool { return errors.Is(c.err, target) }

// Timeout implements the interface that net/http looks for.
func (c *concealed) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(c.err, &t) && t.Timeout()
}
