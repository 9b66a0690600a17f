package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

const (
	// sidecarWait is a second more than the longest time that a sidecar takes to answer.
	sidecarWait = 13 * time.Second
	// maxAnswer bounds the sidecar's answer, which has a few hundred bytes.
	maxAnswer = 64 << 10
	// maxRetryAfter bounds Error.RetryAfter, in seconds: WeChat's quotas start anew at
	// midnight.
	maxRetryAfter = 24 * 60 * 60
)

// sidecar is the sidecar's API.
type sidecar struct {
	address    address
	bearerFile string
	http       *http.Client
	single     *http.Client    // has a connection of its own for each request
	own        *http.Transport // nil if the transport is the user's
}

// answer is a credential and the time for which WeChat accepts it at least.
type answer struct {
	credential string
	life       time.Duration
}

// outgoing is a request to the sidecar.
type outgoing struct {
	method, path string
	body         []byte // nil: none
	secret       string // what no error repeats
	once         bool   // it must not be repeated if it can have arrived
}

func newSidecar(cfg Config) (*sidecar, error) {
	where, err := parseAddress(cfg.Sidecar)
	if err != nil {
		return nil, err
	}
	s := &sidecar{address: where, bearerFile: cfg.AuthTokenFile}
	transport := cfg.Transport
	if transport == nil {
		s.own = where.transport(cfg.CAFile)
		transport = s.own
	}
	s.http, s.single = plain(transport), plain(transport)
	if t, ok := transport.(*http.Transport); ok {
		t = t.Clone()
		t.DisableKeepAlives = true
		s.single = plain(t)
	}
	return s, nil
}

// plain returns an HTTP client that follows no redirect: a sidecar sends none, and no other
// host may see the bearer token.
func plain(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (s *sidecar) close() {
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
}

func (s *sidecar) get(ctx context.Context, appID string, kind memcache.Kind) (answer, error) {
	return s.credential(ctx, outgoing{method: http.MethodGet, path: "/v1/" + appID + "/" + string(kind)})
}

func (s *sidecar) refresh(ctx context.Context, appID string, kind memcache.Kind, rejected string) (answer, error) {
	body, err := json.Marshal(map[string]string{"rejected": rejected})
	if err != nil {
		return answer{}, err
	}
	path := "/v1/" + appID + "/" + string(kind) + "/refresh"
	return s.credential(ctx, outgoing{method: http.MethodPost, path: path, body: body, secret: rejected})
}

// credential sends a request whose answer has a credential.
func (s *sidecar) credential(ctx context.Context, o outgoing) (answer, error) {
	start := time.Now()
	reply, err := s.call(ctx, o)
	if err != nil {
		return answer{}, err
	}
	var body struct {
		AccessToken string `json:"access_token"`
		Ticket      string `json:"ticket"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	err = json.Unmarshal(reply, &body)
	credential := cmp.Or(body.AccessToken, body.Ticket)
	if err != nil || !memcache.ValidCredential(credential) {
		return answer{}, s.foreign(http.StatusOK)
	}
	// The promise can be as old as the request.
	life := time.Duration(min(body.ExpiresIn, int64(MaxLocal/time.Second)))*time.Second - time.Since(start)
	return answer{credential, life}, nil
}

// call sends one request, and if the bearer token is refused the same with the file's
// other one. No error repeats a bearer token or the request's secret.
func (s *sidecar) call(ctx context.Context, o outgoing) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, sidecarWait)
	defer cancel()
	bearer, err := s.bearerBut("")
	if err != nil {
		return nil, err
	}
	reply, err := s.try(ctx, o, bearer)
	var refusal *Error
	if !errors.As(err, &refusal) {
		return reply, err
	}
	if refusal.unauthorized {
		// An error or no other token changes nothing about the refusal.
		if other, _ := s.bearerBut(bearer); other != "" {
			reply, err = s.try(ctx, o, other)
			bearer += "\n" + other
		}
	}
	if errors.As(err, &refusal) {
		refusal.unauthorized = false
		// WeChat's errmsg can repeat a token.
		refusal.Message = redact(refusal.Message, append(strings.Split(bearer, "\n"), o.secret)...)
	}
	return reply, err
}

// bearerBut returns the first bearer token in the file that is not sent. It returns ""
// if there is none, or no file.
func (s *sidecar) bearerBut(sent string) (string, error) {
	if s.bearerFile == "" {
		return "", nil
	}
	bearers, err := readBearers(s.bearerFile)
	for _, bearer := range bearers {
		if bearer != sent {
			return bearer, nil
		}
	}
	return "", err
}

// try sends one request. It sends it once more if the connection is refused or ends:
// that sidecar has just ended, and a Service has others. A request that must not be
// repeated is sent again only if the connection was refused.
func (s *sidecar) try(ctx context.Context, o outgoing, bearer string) ([]byte, error) {
	reply, err := s.exchange(ctx, o, bearer)
	if again := disconnected(err); again && !o.once || errors.Is(err, syscall.ECONNREFUSED) {
		reply, err = s.exchange(ctx, o, bearer)
	}
	return reply, err
}

// disconnected reports whether the other side refused or ended the connection.
func disconnected(err error) bool {
	return slices.ContainsFunc([]error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF},
		func(cause error) bool { return errors.Is(err, cause) })
}

// exchange sends one request over one connection, and reads the answer.
func (s *sidecar) exchange(ctx context.Context, o outgoing, bearer string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, o.method, s.address.base+o.path, bytes.NewReader(o.body))
	if err != nil {
		return nil, s.unreachable(err)
	}
	req.Header.Set("X-Wxsidecar", "1")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if o.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if o.body != nil && !o.once {
		// A second report of the same token changes nothing. An empty key is not sent: it
		// lets net/http repeat the request over a new connection if the sidecar restarted
		// and closed the idle one.
		req.Header["Idempotency-Key"] = []string{}
	}
	hc := s.http
	if o.once {
		hc = s.single
		req.GetBody = nil // so that no transport can send the body again
	}
	resp, err := hc.Do(req)
	if err != nil {
		return nil, s.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, s.unreachable(err)
	}
	return s.read(resp, reply)
}

// read returns an answer without an errcode.
func (s *sidecar) read(resp *http.Response, reply []byte) ([]byte, error) {
	var body struct {
		ErrCode json.Number `json:"errcode"` // a login's is WeChat's, which can be a string
		ErrMsg  string      `json:"errmsg"`
		Hint    string      `json:"hint"`
	}
	err := json.Unmarshal(reply, &body)
	code, _ := body.ErrCode.Int64() // absent is 0
	switch {
	case err == nil && resp.StatusCode == http.StatusOK && code == 0:
		return reply, nil
	case err == nil && code != 0:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // absent is 0
		if body.Hint != "" {
			body.ErrMsg += " (" + body.Hint + ")"
		}
		return nil, &Error{
			Code: int(code), Message: body.ErrMsg, RetryAfter: time.Duration(min(max(seconds, 0), maxRetryAfter)) * time.Second,
			unauthorized: resp.StatusCode == http.StatusUnauthorized,
		}
	}
	return nil, s.foreign(resp.StatusCode)
}

// foreign returns the error for an answer that no sidecar sends.
func (s *sidecar) foreign(status int) error {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout: // a sidecar has an errcode with them
		return fmt.Errorf("sidecar at %s: HTTP %d from something in front of the sidecar; check that the sidecar runs, then what is in front of it", s.address.name, status)
	}
	return fmt.Errorf("sidecar at %s: HTTP %d is not a sidecar's answer; check SIDECAR_URL", s.address.name, status)
}

// unreachable returns the error for a request without an answer.
func (s *sidecar) unreachable(err error) error {
	err = bare(err)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("sidecar at %s: no answer within %s: %w; check its log and /readyz", s.address.name, sidecarWait, err)
	}
	return fmt.Errorf("sidecar at %s: %w; %s", s.address.name, err, advice(err))
}

// bare removes the error of net/http around err, which quotes the URL.
func bare(err error) error {
	var quoted *url.Error
	for errors.As(err, &quoted) {
		err = quoted.Err
	}
	return err
}

// redact returns text without the secrets.
func redact(text string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return text
}
