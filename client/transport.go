package client

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// HTTPClient returns a copy of base (nil means http.DefaultClient) that adds the
// access_token to the query of requests to WeChat, and when WeChat refuses it
// with 40001, 40014 or 42001 asks for another and repeats the request once.
//
// Which requests. Those over https to api.weixin.qq.com, a host below it,
// api2.weixin.qq.com or one of Config.WeChatHosts, unless they bring an
// access_token of their own or go to a path that takes another credential (/sns/,
// /cgi-bin/component/, /cgi-bin/token and its kin). All others pass untouched.
// Every hop of a redirect is judged by itself, and the token never shows outside
// the request that carries it: not in Response.Request, a Referer, a redirect's
// address or an error.
//
// What is read. Of an answer that is JSON, or text that looks like it, up to
// 64 KiB until errcode is found; you still get every byte. Anything else, pictures
// and streams, is not touched, nor is an answer that is still compressed because
// you asked for that.
//
// What is repeated. A refused request was not carried out, so any method may be
// repeated. Its body comes from Request.GetBody, which net/http sets for buffers
// and strings; a body without it is remembered while it is sent, up to 1 MiB.
// What cannot be repeated, or finds no other token, returns WeChat's first answer.
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
// redirect, and builds a Referer from the request that it was given, which is why
// that one stays without the token.
type transport struct {
	client *Client
	next   http.RoundTripper
}

// RoundTrip is http.RoundTripper's.
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
	if err != nil || !refused(resp) {
		return resp, err
	}
	// Refreshed even if this request cannot be repeated: the next one needs it.
	fresh, err := t.client.Refresh(req.Context(), token)
	if err != nil || fresh == token {
		return resp, nil //nolint:nilerr // WeChat's answer says more than our failure to mend it
	}
	again, ok := body.again()
	if !ok {
		return resp, nil
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxPeek) // so that the connection can be used again
	_ = resp.Body.Close()
	return t.send(req, again, fresh)
}

// send sends a copy of req with this body and token.
func (t *transport) send(req *http.Request, body io.ReadCloser, token string) (*http.Response, error) {
	sent := req.WithContext(req.Context()) // a shallow copy
	u := *req.URL
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

// concealLocation takes the token out of a redirect's address: some servers
// repeat the whole query there. Where that fails there is no redirect.
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

// conceal returns err, or where its text has the token one that is like it in all
// else: a transport of the user's may wrap an *url.Error with the whole address.
func conceal(err error, token string) error {
	if !mentions(err.Error(), token) {
		return err
	}
	return &concealed{
		text: redact(err.Error(), token, url.QueryEscape(token), url.PathEscape(token)),
		err:  err,
	}
}

// concealed does not unwrap to the error that it conceals.
type concealed struct {
	text string
	err  error
}

func (c *concealed) Error() string        { return c.text }
func (c *concealed) Is(target error) bool { return errors.Is(c.err, target) }

// Timeout is what net/http asks an error for.
func (c *concealed) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(c.err, &t) && t.Timeout()
}
