package upstream

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Header says that a sidecar asks.
const Header = "X-Wxsidecar-Upstream"

const (
	maxAnswer = 64 << 10        // limit of an answer in bytes
	maxCA     = 1 << 20         // limit of CAFile
	maxNumber = 1 << 52         // of a record
	maxLife   = 24 * 60 * 60    // seconds: no record lives longer
	maxWait   = 2 * time.Minute // of Retry-After: a longer cooldown would be taken for garbage
	busyCode  = -1
)

// errCA means that CAFile is unusable. It is a failure to connect.
var errCA = errors.New("SIDECAR_CA_FILE")

func dialTLS(caFile string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
		if caFile != "" {
			pool, err := ReadCAs(caFile)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errCA, err)
			}
			config.RootCAs = pool
		}
		dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: config}
		return dialer.DialContext(ctx, network, address)
	}
}

// ReadCAs reads certificates in PEM. Its errors quote neither content nor path.
func ReadCAs(path string) (*x509.CertPool, error) {
	text, _, err := smallfile.Read(path, maxCA)
	if err != nil {
		return nil, fmt.Errorf("the file is unreadable: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("the file has no certificate in PEM")
	}
	return pool, nil
}

// askOne asks one URL, with each bearer token until one is accepted. next is true if another
// URL may answer better.
func (c *Client) askOne(ctx context.Context, base *url.URL, q keeper.Question) (answer protocol.Answer, failed *wechat.Error, next bool) {
	c.authorized(func(bearer string) int {
		if answer, failed, next = c.exchange(ctx, base, q, bearer); failed != nil {
			return failed.Code
		}
		return http.StatusOK
	})
	return answer, failed, next
}

// exchange sends one request, and reads its answer.
func (c *Client) exchange(ctx context.Context, base *url.URL, q keeper.Question, bearer string) (protocol.Answer, *wechat.Error, bool) {
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) }, // the transport tries again if a kept connection was closed
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}
	req, err := c.question(httptrace.WithClientTrace(ctx, trace), base, q, bearer)
	if err != nil {
		return protocol.Answer{}, &wechat.Error{Code: busyCode, Message: base.Host + ": the request cannot be built", Class: wechat.Defect, Hint: hint.Fault}, false
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return protocol.Answer{}, silent(base.Host, err, !connected.Load()), true
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return protocol.Answer{}, silent(base.Host, err, false), true
	}
	var got reply
	if json.Unmarshal(body, &got) != nil {
		got = reply{}
	}
	switch {
	case got.ErrCode != 0:
		failed := refusal(resp, got)
		failed.Message = base.Host + ": " + wechat.Redact(failed.Message, bearer, q.Rejected)
		return protocol.Answer{}, failed, resp.StatusCode >= 500 && resp.StatusCode != http.StatusBadGateway
	case resp.StatusCode != http.StatusOK || !got.usable():
		message, what := notASidecar(base.Host, resp.StatusCode)
		return protocol.Answer{}, &wechat.Error{Code: busyCode, Message: message, Class: wechat.Transient, Hint: what}, true
	}
	return got.answer(), nil, false
}

// notASidecar says what gave an answer that no sidecar gives. A sidecar has an errcode with
// each 502 and 503, so without one it is that of an ingress, a proxy or a mesh.
func notASidecar(host string, status int) (message string, what hint.Hint) {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Sprintf("%s: HTTP %d from something in front of the upstream", host, status), hint.UpstreamUnreached
	}
	return fmt.Sprintf("%s: HTTP %d is not a sidecar's answer to another sidecar", host, status), hint.UpstreamAddress
}

// question returns the request for a question.
func (c *Client) question(ctx context.Context, base *url.URL, q keeper.Question, bearer string) (*http.Request, error) {
	path := "/v1/" + q.AppID + "/" + string(q.Kind)
	if q.Rejected == "" || c.readOnly {
		return request(ctx, base, path, nil, bearer)
	}
	req, err := request(ctx, base, path+"/refresh", map[string]string{"rejected": q.Rejected}, bearer)
	if err == nil {
		req.Header["Idempotency-Key"] = []string{} // a second report changes nothing, see package client
	}
	return req, err
}

// request returns a request to the API of a sidecar: a POST if it has fields.
func request(ctx context.Context, base *url.URL, path string, fields map[string]string, bearer string) (*http.Request, error) {
	method, body := http.MethodGet, []byte(nil)
	if fields != nil {
		method = http.MethodPost
		var err error
		if body, err = json.Marshal(fields); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, base.Scheme+"://"+base.Host+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Wxsidecar", "1")
	req.Header.Set(Header, "1")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// reply is the body of an answer.
type reply struct {
	AccessToken string `json:"access_token"`
	Ticket      string `json:"ticket"`
	ExpiresIn   int64  `json:"expires_in"`
	Number      int64  `json:"number"`
	Life        int64  `json:"life"`
	ErrCode     int    `json:"errcode"`
	ErrMsg      string `json:"errmsg"`
	Hint        string `json:"hint"`
}

func (r *reply) usable() bool {
	return memcache.ValidCredential(cmp.Or(r.AccessToken, r.Ticket)) && r.Number >= 1 && r.Number <= maxNumber && r.Life >= 1 && r.ExpiresIn >= 1
}

func (r *reply) answer() protocol.Answer {
	return protocol.Answer{
		Token: cmp.Or(r.AccessToken, r.Ticket), Number: r.Number,
		Life: time.Duration(min(r.Life, maxLife)) * time.Second, Promise: time.Duration(min(r.ExpiresIn, maxLife)) * time.Second,
	}
}

// refusal returns the failure for an answer with an errcode. It is the upstream's.
func refusal(resp *http.Response, got reply) *wechat.Error {
	e := &wechat.Error{Code: got.ErrCode, Message: got.ErrMsg, Class: wechat.Person, Hint: hint.Upstream}
	if got.Hint != "" {
		e.Message += " (" + got.Hint + ")"
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Hint = hint.UpstreamBearer
	case http.StatusNotFound:
		e.Hint = hint.UpstreamAccount
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // absent is 0
		e.Class, e.Wait = wechat.Later, min(max(time.Duration(min(seconds, 3600))*time.Second, time.Second), maxWait)
	case http.StatusInternalServerError:
		e.Class = wechat.Transient
	}
	return e
}

// silent returns the failure of a request without an answer. No credential was issued for it
// that nobody has.
func silent(host string, err error, unsent bool) *wechat.Error {
	e := &wechat.Error{Code: busyCode, Class: wechat.Transient, Unsent: unsent, Hint: hint.UpstreamSilent}
	var quoting *url.Error
	for errors.As(err, &quoting) {
		err = quoting.Err
	}
	var record tls.RecordHeaderError
	var refused *tls.CertificateVerificationError
	what := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		what = "no answer in time"
	case errors.As(err, &record):
		what = "it does not speak https on this port"
	case errors.As(err, &refused), errors.Is(err, errCA):
		e.Hint = hint.UpstreamTLS
	case !unsent: // the error can quote an answer that is not HTTP
		what = "the connection ended before the answer"
	}
	e.Message = host + ": " + wechat.Redact(what)
	return e
}
