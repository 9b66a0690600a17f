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

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// attempt is what is known about one request to one host.
type attempt struct {
	traced    atomic.Bool // the transport looked for a connection, so it supports tracing
	connected atomic.Bool // it had a connection to write to
}

// mayBeSent reports whether a byte of the request may have been sent: whether there
// was a connection to write to, proxy and TLS included. The hooks about writing prove
// nothing: they run after the buffer was flushed, or not at all if the connection
// breaks. A transport without tracing may always have sent the request.
func (a *attempt) mayBeSent() bool { return a.connected.Load() || !a.traced.Load() }

func (a *attempt) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { a.traced.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { a.connected.Store(true) },
	})
}

// try sends the request to one host. next means that nothing was sent, so that another
// host can be tried.
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
		// The error can quote the URL.
		return Credential{}, defect("the request to " + base.Host + " cannot be built"), false
	}
	// RoundTrip, unlike http.Client, follows no redirect and quotes no URL.
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
		// The transport's error quotes an answer that is not HTTP, and it can contain
		// a token.
		return Credential{}, lost(base.Host + ": " + describe(err)), false
	default:
		failed = unsent(base.Host, base.Host+": "+hideOf(r.Secret, r.Token, r.Code).message(reason(err)))
		if refused := new(tls.CertificateVerificationError); errors.As(err, &refused) {
			failed.Hint = hint.Certificate(base.Host)
		}
		return Credential{}, failed, true
	}
}

// describe returns our own words for an error after sending.
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
	return "the connection failed, or the answer was not HTTP"
}

// reason returns the text of an error before sending, without the URL that some
// errors quote.
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

// newTransport returns the default transport. Each request has its own connection.
// Requests are an hour apart, and no middlebox keeps a connection for so long. A broken
// one would cost a lost answer. It uses HTTP/1, so that requests do not share a
// connection.
func newTransport(c *Client) *http.Transport {
	return &http.Transport{
		Proxy:                  proxyFor,
		DialContext:            dialContext(c.timeout),
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
