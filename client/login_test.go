package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

const userCode = "canarytoken-code"

// WeChat's answers to a login.
const (
	sessionAnswer = `{"openid":"canarytoken-openid","session_key":"canarytoken-key","unionid":"canarytoken-unionid","errcode":0,"errmsg":"ok"}`
	userAnswer    = `{"access_token":"canarytoken-user","expires_in":7200,"refresh_token":"canarytoken-refresh","openid":"canarytoken-openid",` +
		`"scope":"snsapi_userinfo","unionid":"canarytoken-unionid","is_snapshotuser":1}`
)

// both calls Login and OAuth.
func both(c *client.Client) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"login": func(ctx context.Context) error { _, err := c.Login(ctx, userCode); return err },
		"oauth": func(ctx context.Context) error { _, err := c.OAuth(ctx, userCode); return err },
	}
}

// Login returns the session of a user, and OAuth the user of a page.
func TestLogin_Answers(t *testing.T) {
	f := setup(t)
	var bodies []string
	f.sidecar.instead = func(w http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, r.Method+" "+r.URL.Path+" "+string(body))
		answer := sessionAnswer
		if strings.HasSuffix(r.URL.Path, "/oauth") {
			answer = userAnswer
		}
		_, _ = io.WriteString(w, answer)
		return true
	}
	session, err := f.Login(t.Context(), userCode)
	require.NoError(t, err)
	same := session == client.Session{OpenID: "canarytoken-openid", UnionID: "canarytoken-unionid", SessionKey: "canarytoken-key"}
	assert.True(t, same) // Equal would print it
	user, err := f.For("wxB").OAuth(t.Context(), userCode)
	require.NoError(t, err)
	same = user == client.User{
		OpenID: "canarytoken-openid", UnionID: "canarytoken-unionid", Scope: "snsapi_userinfo", Snapshot: true,
		AccessToken: "canarytoken-user", RefreshToken: "canarytoken-refresh", ExpiresIn: 2 * time.Hour,
	}
	assert.True(t, same)
	assert.Equal(t, []string{
		`POST /v1/wx1/login {"js_code":"` + userCode + `"}`, `POST /v1/wxB/oauth {"code":"` + userCode + `"}`,
	}, bodies)
	assert.Empty(t, f.sidecar.requests[0].Header["Idempotency-Key"])
	f.sidecar.instead = nil
	f.sidecar.answering(200, "", "", `{"openid":"o","access_token":"canarytoken-user","expires_in":"7200"}`)
	user, err = f.OAuth(t.Context(), userCode)
	require.NoError(t, err)
	assert.Equal(t, 2*time.Hour, user.ExpiresIn)
	assert.False(t, user.Snapshot)
	assert.Zero(t, f.gets(), "memcached has no part in it")
}

// Nothing of a session or a user is printed or logged, and JSON for a page has no secret.
func TestLogin_ShowsNoSecret(t *testing.T) {
	session := client.Session{OpenID: "canarytoken-openid", UnionID: "canarytoken-unionid", SessionKey: "canarytoken-key"}
	user := client.User{OpenID: "canarytoken-openid", AccessToken: "canarytoken-user", RefreshToken: "canarytoken-refresh"}
	for _, v := range []any{session, &session, user, &user, []any{session, user}, struct{ S client.Session }{session}} {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		if _, one := v.(slog.LogValuer); one {
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		}
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v %s %q %d %x", v, v, v, v, v, v, v)+log.String(), "canarytoken")
	}
	text, err := json.Marshal(map[string]any{"session": session, "user": user})
	require.NoError(t, err)
	assert.JSONEq(t, `{"session":{"openid":"canarytoken-openid","unionid":"canarytoken-unionid"},"user":{"openid":"canarytoken-openid","scope":""}}`, string(text))
}

// A refusal is an *Error. RetryAfter says that the code can be sent again.
func TestLogin_Refusals(t *testing.T) {
	for _, c := range []struct {
		status     int
		body       string
		retryAfter string
		want       client.Error
	}{
		{502, `{"errcode":40163,"errmsg":"code been used rid: 65f","hint":"get another one"}`, "", client.Error{Code: 40163, Message: "code been used rid: 65f (get another one)"}},
		{502, `{"errcode":40029,"errmsg":"` + userCode + `"}`, "", client.Error{Code: 40029, Message: "[redacted]"}},
		{502, `{"errcode":-1,"errmsg":"no answer in time"}`, "", client.Error{Code: -1, Message: "no answer in time"}},
		{503, `{"errcode":-1,"errmsg":"too many open logins"}`, "1", client.Error{Code: -1, Message: "too many open logins", RetryAfter: time.Second}},
		{404, `{"errcode":404,"errmsg":"logins are off"}`, "", client.Error{Code: 404, Message: "logins are off"}},
	} {
		f := setup(t)
		f.sidecar.answering(c.status, "Retry-After", c.retryAfter, c.body)
		for action, call := range both(f.Client) {
			err := call(t.Context())
			var refusal *client.Error
			require.ErrorAs(t, err, &refusal)
			assert.Equal(t, c.want, *refusal)
			require.ErrorContains(t, err, "client: "+action+" of wx1: the sidecar answered")
			clean(t, err)
		}
		assert.Equal(t, 2, f.sidecar.asked(), "each once")
	}
}

// An answer that is no sidecar's is an error.
func TestLogin_OtherServer(t *testing.T) {
	for name, answer := range map[string]string{
		"a page": "<html>" + userCode, "no openid": `{"session_key":"canarytoken-key"}`, "null": "null", "a list": "[]", "a number as openid": `{"openid":1}`,
	} {
		f := setup(t)
		f.sidecar.answering(200, "", "", answer)
		for _, call := range both(f.Client) {
			err := call(t.Context())
			require.ErrorContains(t, err, "is not a sidecar's answer; check SIDECAR_URL", name)
			clean(t, err)
		}
	}
}

// readsAndCloses is a sidecar that answers with a token and keeps the connection. It counts
// logins, and closes their connections without an answer.
func readsAndCloses(t *testing.T) (address string, logins *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	logins = &atomic.Int64{}
	serve := func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		for reader := bufio.NewReader(conn); ; {
			r, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			if r.Method == http.MethodPost {
				logins.Add(1)
				return
			}
			body := `{"access_token":"` + t1 + `","expires_in":300}`
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); running.Wait() }) // the client was closed before
	return "http://" + listener.Addr().String(), logins
}

// A sidecar that reads the request and closes the connection gets the code once, also if
// there is a connection that was used before.
func TestLogin_ReadAndClosed(t *testing.T) {
	address, logins := readsAndCloses(t)
	apps := &http.Transport{}
	t.Cleanup(apps.CloseIdleConnections)
	for name, transport := range map[string]http.RoundTripper{"its own": nil, "the app's": apps} {
		f := setup(t, func(cfg *client.Config) { cfg.Transport, cfg.Sidecar = transport, address })
		f.memcached.Flush()
		for action, call := range both(f.Client) {
			f.token(t)
			before := logins.Load()
			err := call(t.Context())
			require.ErrorContains(t, err, "check SIDECAR_URL", name)
			clean(t, err)
			assert.Equal(t, before+1, logins.Load(), "%s, %s", name, action)
		}
	}
}

// If nothing was sent, another sidecar of the Service gets the code.
func TestLogin_Service(t *testing.T) {
	ended, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ended.Close())
	sidecar := newFakeSidecar()
	sidecar.answering(200, "", "", sessionAnswer)
	server := httptest.NewServer(sidecar)
	defer server.Close()
	dials := 0
	f := setup(t, func(cfg *client.Config) {
		cfg.Transport = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			dials++
			return new(net.Dialer).DialContext(ctx, network, []string{server.Listener.Addr().String(), ended.Addr().String()}[dials%2])
		}}
	})
	_, err = f.Login(t.Context(), userCode)
	require.NoError(t, err)
	assert.Equal(t, 2, dials)
	assert.Equal(t, 1, sidecar.asked())
}

// During a rotation the other bearer token is sent after a 401: the code was not used.
func TestLogin_TwoBearers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(bearer+"1\n"+bearer+"2\n"), 0o600))
	f := setup(t, func(cfg *client.Config) { cfg.AuthTokenFile = file })
	f.sidecar.instead = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "Bearer "+bearer+"2" {
			refuse(w, 401, 401, "bearer")
			return true
		}
		_, _ = io.WriteString(w, sessionAnswer)
		return true
	}
	_, err := f.Login(t.Context(), userCode)
	require.NoError(t, err)
	assert.Equal(t, 2, f.sidecar.asked())
}

// An errcode 401 of WeChat's is not the sidecar's: the code was used, and is not sent again.
func TestLogin_Errcode401(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(bearer+"1\n"+bearer+"2\n"), 0o600))
	f := setup(t, func(cfg *client.Config) { cfg.AuthTokenFile = file })
	f.sidecar.instead = func(w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, 502, 401, "WeChat's")
		return true
	}
	_, err := f.Login(t.Context(), userCode)
	require.Error(t, err)
	assert.Equal(t, 1, f.sidecar.asked())
}

// A login ends with its context, after 13 s, or with Close.
func TestLogin_Ends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sidecar.before = func(r *http.Request) { <-r.Context().Done() }
		start := time.Now()
		_, err := f.Login(t.Context(), userCode)
		assert.Equal(t, 13*time.Second, time.Since(start))
		require.ErrorContains(t, err, "no answer within 13s")
		clean(t, err)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = f.OAuth(ctx, userCode)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 14*time.Second, time.Since(start))

		ended := make(chan error)
		go func() {
			_, err := f.Login(context.Background(), userCode)
			ended <- err
		}()
		synctest.Wait()
		require.NoError(t, f.Close())
		require.ErrorIs(t, <-ended, client.ErrClosed)
		_, err = f.Login(t.Context(), userCode)
		require.ErrorIs(t, err, client.ErrClosed)
		_, err = f.For("wx 1").Login(t.Context(), userCode)
		assert.ErrorContains(t, err, "AppID")
	})
}
