package wechat

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"syscall"
)

// attempt is one request to one host, and what is known about its way.
type attempt struct {
	asked     atomic.Bool // the transport looked for a connection, so it traces
	connected atomic.Bool // it had one to write on
}

// mayBeSent says whether a byte of the request may have left. What was written
// is no evidence: the hooks about writing fire after the buffer was flushed, or
// not at all when the connection breaks meanwhile. What counts is whether there
// was a connection to write on, TCP, proxy and TLS included. A transport that
// did not even look for one does not trace, and nothing is certain.
func (a *attempt) mayBeSent() bool { return a.connected.Load() || !a.asked.Load() }

func (a *attempt) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { a.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { a.connected.Store(true) },
	})
}

// try asks one host once. next says that nothing was sent, so that another host
// may be asked.
func (c *Client) try(ctx context.Context, base *url.URL, r Request) (cred Credential, failed *Error, next bool) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		failed = unsent(base.Host, describe(err))
		failed.cause = err
		return Credential{}, failed, false
	}
	var a attempt
	req, err := r.onHost(a.trace(ctx), base)
	if err != nil {
		// The error may quote the URL.
		return Credential{}, defect("the request to " + base.Host + " cannot be built"), false
	}
	// RoundTrip and not http.Client: it follows no redirect and quotes no URL.
	resp, err := c.transport.RoundTrip(req)
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
	}
	switch {
	case err == nil:
		cred, failed = r.readAnswer(resp)
		if failed != nil && failed.MayHaveIssued {
			failed.Message = bounded(base.Host+": "+failed.Message, maxMessage)
		}
		return cred, failed, false
	case a.mayBeSent():
		// The transport's own words are not for showing: where the answer is no
		// HTTP they quote it, and it may hold a token.
		return Credential{}, lost(base.Host + ": " + describe(err)), false
	default:
		return Credential{}, unsent(base.Host, base.Host+": "+ hideOf(r.Secret, r.Token).message(reason(err))), true
	}
}

// describe puts an error after sending in words of our own.
func describe(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset before the answer"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return "the connection was closed before the answer ended"
	}
	return "the connection failed, or the answer was no HTTP"
}

// reason is an error before sending, without the URL that some wrap around it.
func reason(err error) string {
	var quoting *url.Error
	for errors.As(err, &quoting) {
		err = quoting.Err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "no connection in time"
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return "TLS failed: the host does not speak https on this port"
	}
	return err.Error()
}

// newTransport is the way to WeChat where the caller gives none. Every call has
// a connection of its own: calls are an hour apart, longer than WeChat and the
// middleboxes keep one, and a kept connection that died would cost a lost
// answer. HTTP/1 for the same reason: several calls on one connection would
// share its fate.
func newTransport(c *Client) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: c.timeout}).DialContext,
		TLSHandshakeTimeout:    c.timeout,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		Protocols:              http1Only(),
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswer,
	}
}

func http1Only() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}
