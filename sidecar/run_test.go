package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// A sidecar publishes the token, answers the client and stops on SIGTERM.
func TestRun_PublishesServesAndStops(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	r := start(t, w.Environ)
	store := w.Store(t)
	eventually(t, func() bool { return programtest.Entry(t, store) != "" }, "an entry")
	assertSame(t, w.LastToken(), programtest.Entry(t, store), "the entry is the token that WeChat issued")

	token, err := newClient(t, w).AccessToken(t.Context())
	require.NoError(t, err)
	assertSame(t, w.LastToken(), token, "so does the client give it")
	exit, stdout, _ := runCLI(t, w.Environ, "healthcheck")
	assert.Equal(t, exitFine, exit)
	assert.Equal(t, "ready\n", stdout)

	begin := time.Now()
	r.stop()
	assert.Equal(t, exitFine, r.ends(t))
	assert.Less(t, time.Since(begin), stopsWithin)
	assertSame(t, w.LastToken(), programtest.Entry(t, store), "apps go on with the token")
	assert.Equal(t, 1, w.WeChat.Requests("", ""))
	_, err = net.Dial("unix", w.Socket)
	assert.Error(t, err, "the socket is gone")
}

// The log begins with unknown variables and the settings.
func TestRun_LogsItsSettings(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	r := start(t, append(w.Environ, "WECHAT_APPSECRETS="+testSecret, "MEMCACHED_KEY_PREFIX=prod:"))
	eventually(t, func() bool { return strings.Contains(r.stderr.String(), `"started"`) }, "a line")
	lines := strings.Split(r.stderr.String(), "\n")
	var warned, started map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &warned))
	assert.Equal(t, "WARN", warned["level"])
	assert.Equal(t, "WECHAT_APPSECRETS", warned["variable"])
	assert.Equal(t, "WECHAT_APPSECRET", warned["nearest"])
	for _, line := range lines {
		if strings.Contains(line, `"msg":"started"`) {
			require.NoError(t, json.Unmarshal([]byte(line), &started))
		}
	}
	assert.Equal(t, appID, started["appid"])
	assert.Equal(t, "prod:", started["key_prefix"])
	assert.Equal(t, "unix://"+w.Socket, started["listen"])
	assert.Equal(t, "token", started["token_api"])
}

// A stopping sidecar finishes an open request, publishes its token and answers.
func TestRun_FinishesAnOpenRequest(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	called := make(chan struct{}, 1)
	w.WeChat.OnRequest(func(wechattest.Request) wechattest.Answer {
		called <- struct{}{}
		return wechattest.Answer{DelayAfter: time.Second}
	})
	r := start(t, w.Environ)
	<-called
	answer := make(chan error, 1)
	c := newClient(t, w)
	before := w.Memcached.Count("")
	go func() {
		token, err := c.AccessToken(context.Background())
		if err == nil && token != w.LastToken() {
			err = errors.New("another token")
		}
		answer <- err
	}()
	// Its own miss, and the look that its question at the sidecar causes.
	eventually(t, func() bool { return w.Memcached.Count("") >= before+2 }, "the app's question")
	r.stop()
	assert.Equal(t, exitFine, r.ends(t))
	assertSame(t, w.LastToken(), programtest.Entry(t, w.Store(t)), "its token is published")
	assert.NoError(t, <-answer, "who waited for it is answered")
}

// A request to WeChat without an answer does not delay the end.
func TestRun_UnansweredRequestDoesNotDelay(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	called := make(chan struct{}, 1)
	w.WeChat.OnRequest(func(wechattest.Request) wechattest.Answer {
		called <- struct{}{}
		return wechattest.Answer{Kind: wechattest.IssuedHang}
	})
	r := start(t, w.Environ)
	<-called
	begin := time.Now()
	r.stop()
	assert.Equal(t, exitFine, r.ends(t))
	assert.Less(t, time.Since(begin), stopsWithin)
}

// A listener that cannot bind ends the program before any request.
func TestRun_AddressInUse(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{"SIDECAR_LISTEN", "SIDECAR_OPS_LISTEN"} {
		w := programtest.NewBackends(t)
		exit, _, stderr := runCLI(t, append(w.Environ, variable+"="+w.MemcachedAddress))
		assert.Equal(t, exitFailed, exit)
		assert.Contains(t, stderr, variable+": ")
		assert.Contains(t, stderr, "address already in use")
		assert.Zero(t, w.WeChat.Requests("", ""), "no request was made")
		programtest.AssertNoCanary(t, stderr)
	}
}

// An API that listens on all addresses requires the bearer token.
func TestRun_RequiresTheBearer(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	file := programtest.WriteFile(t, filepath.Join(t.TempDir(), "bearer"), "canarysecret-bearer\n")
	address := programtest.Address(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	r := start(t, append(w.Environ, "SIDECAR_LISTEN=0.0.0.0:"+port, "SIDECAR_AUTH_TOKEN_FILE="+file, "LOG_LEVEL=debug"))
	store := w.Store(t)
	eventually(t, func() bool { return programtest.Entry(t, store) != "" }, "an entry")
	ask := func(bearer string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/v1/"+appID+"/access_token", nil)
		require.NoError(t, err)
		req.Header.Set("X-Wxsidecar", "1")
		if bearer != "" {
			req.Header.Set("Authorization", "Bearer "+bearer)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	assert.Equal(t, http.StatusOK, ask("canarysecret-bearer"))
	assert.Equal(t, http.StatusUnauthorized, ask("another"))
	assert.Equal(t, http.StatusUnauthorized, ask(""))
	r.stop()
	assert.Equal(t, exitFine, r.ends(t))
}

// A caller that connects before the sidecar runs does not get "unknown account".
func TestRun_FirstCallerFindsTheAccount(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	cfg, found := parse(w.Environ)
	require.Empty(t, found)
	d, err := newDaemon(t.Context(), cfg, "", newLogger(cfg, io.Discard))
	require.NoError(t, err)
	c := newClient(t, w)
	got := make(chan error, 1)
	go func() { // the socket accepts, and the sidecar does not serve yet
		_, err := c.Refresh(context.Background(), "")
		got <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	require.NoError(t, <-got)
	cancel()
	assert.NoError(t, <-ended)
}

// The first failure ends the other tasks, and together waits for all.
func TestTogether_FailureCancelsSiblings(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	ended := 0
	err := together(t.Context(),
		func(context.Context) error { return boom },
		func(ctx context.Context) error { <-ctx.Done(); ended++; return nil },
	)
	require.ErrorIs(t, err, boom)
	assert.Equal(t, 1, ended)
}
