package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// Tokens and secrets of the tests. The tokens are in their order of issue.
const (
	t0 = "canarytoken-0000"
	t1 = "canarytoken-0001"
	t2 = "canarytoken-0002"
	t3 = "canarytoken-0003"

	bearer = "canarysecret-bearer"
)

// fakeSidecar has the sidecar's API: a credential for each path, and a counter that
// makes the next one.
type fakeSidecar struct {
	mu        sync.Mutex
	current   map[string]string // mu guards it; by "wx1/access_token"
	issued    int               // mu guards it
	expiresIn int               // mu guards it
	requests  []*http.Request   // mu guards it
	rejected  []string          // mu guards it

	// renew returns the next token; nil counts.
	renew func() string
	// before is called for every request, without the lock; nil does nothing.
	before func(*http.Request)
	// instead answers instead of the fake if it returns true; nil never does.
	instead func(http.ResponseWriter, *http.Request) bool
	// down is the error of every RoundTrip; nil fails none.
	down error
}

func newFakeSidecar() *fakeSidecar {
	return &fakeSidecar{current: map[string]string{"wx1/access_token": t1}, issued: 1, expiresIn: 3000}
}

func (f *fakeSidecar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Clone(context.Background()))
	f.mu.Unlock()
	if f.before != nil {
		f.before(r)
	}
	if f.instead != nil && f.instead(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("X-Wxsidecar") != "1" {
		refuse(w, 403, 403, "no X-Wxsidecar header")
		return
	}
	what := strings.TrimPrefix(r.URL.Path, "/v1/")
	f.mu.Lock()
	defer f.mu.Unlock()
	if name, ok := strings.CutSuffix(what, "/refresh"); ok && r.Method == http.MethodPost {
		var body struct{ Rejected string }
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.Rejected == "" {
			refuse(w, 400, 400, "no rejected credential")
			return
		}
		f.rejected = append(f.rejected, body.Rejected)
		if f.current[name] == body.Rejected {
			f.issued++
			f.current[name] = fmt.Sprintf("canarytoken-%04d", f.issued)
			if f.renew != nil {
				f.current[name] = f.renew()
			}
		}
		what = name
	}
	credential, ok := f.current[what]
	if !ok {
		refuse(w, 404, 404, "not configured: WECHAT_TICKETS")
		return
	}
	field := "access_token"
	if strings.HasSuffix(what, "ticket") {
		field = "ticket"
	}
	_ = json.NewEncoder(w).Encode(map[string]any{field: credential, "expires_in": f.expiresIn})
}

func refuse(w http.ResponseWriter, status, code int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errcode": code, "errmsg": message})
}

// RoundTrip answers within the caller's goroutine, for Config.Transport.
func (f *fakeSidecar) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.down != nil {
		return nil, f.down
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// asked returns how many requests arrived.
func (f *fakeSidecar) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests)
}

func (f *fakeSidecar) reports() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.rejected...)
}

var errDown = errors.New("connection refused")

// dialDown is the Dial of a memcached that is down.
func dialDown(context.Context, string, string) (net.Conn, error) { return nil, errDown }

// fixture is a memcached and a sidecar with t1 for wx1, and a Client of wx1.
type fixture struct {
	*client.Client
	memcached *memcachetest.Server
	sidecar   *fakeSidecar
}

func setup(t *testing.T, change ...func(*client.Config)) *fixture {
	t.Helper()
	f := &fixture{memcached: memcachetest.New(), sidecar: newFakeSidecar()}
	t.Cleanup(func() { assert.NoError(t, f.memcached.Close()) })
	f.memcached.Put("wx1", t1, 0, 3600)
	cfg := client.Config{AppID: "wx1", Memcached: client.Memcached{Dial: f.memcached.Dial}, Transport: f.sidecar}
	for _, c := range change {
		c(&cfg)
	}
	c, err := client.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	f.Client = c
	return f
}

func withLocal(d time.Duration) func(*client.Config) {
	return func(cfg *client.Config) { cfg.Local = d }
}

// token returns AccessToken's result, and fails the test on an error.
func (f *fixture) token(t *testing.T) string {
	t.Helper()
	token, err := f.AccessToken(t.Context())
	require.NoError(t, err)
	return token
}

// gets returns how often memcached was read.
func (f *fixture) gets() int { return f.memcached.Count("gets") + f.memcached.Count("get") }

// clean asserts that an error shows neither a token nor a secret in any form.
func clean(t *testing.T, err error) {
	t.Helper()
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	assert.False(t, strings.Contains(text, "canarytoken") || strings.Contains(text, "canarysecret"),
		"an error shows a token or a secret")
}

func mustNew(b *testing.B, server *memcachetest.Server) *client.Client {
	b.Helper()
	c, err := client.New(client.Config{AppID: "wx1", Memcached: client.Memcached{Dial: server.Dial}, Local: client.MaxLocal})
	require.NoError(b, err)
	b.Cleanup(func() { _ = c.Close() })
	return c
}
