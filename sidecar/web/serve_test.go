package web_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Open requests finish when Serve ends.
func TestServe_Drains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: 3 * time.Second} }
		h := newTestSidecar(t, slow, appID)
		l := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		api := h.api(t, "")
		go func() { served <- listener.Serve(ctx, l, api, listener.APILimits()) }()
		conn, idle := l.dial(), l.dial()
		_, err := conn.Write(ask{target: tokenPath}.bytes())
		require.NoError(t, err)
		_, err = idle.Write(ask{target: "/v1/wxunknown/access_token"}.bytes())
		require.NoError(t, err)
		assert.Equal(t, 404, readAnswer(t, idle, "GET").status)
		synctest.Wait()
		start := time.Now()
		stop()
		synctest.Wait()
		assert.Nil(t, l.dial(), "nothing is accepted any more")
		assert.Equal(t, 200, readAnswer(t, conn, "GET").status)
		took(t, start, 3*time.Second)
		require.NoError(t, <-served)
		assert.Less(t, time.Since(start), 4*time.Second)
		_, err = idle.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
	})
}

// A request that waits near the end of the drain gets 503.
func TestServe_DrainRefusesWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Kind: wechattest.Hang} }
		h := newTestSidecar(t, hang, appID)
		l := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		api := h.api(t, "")
		go func() { served <- listener.Serve(ctx, l, api, listener.APILimits()) }()
		conn := l.dial()
		_, err := conn.Write(ask{target: tokenPath}.bytes())
		require.NoError(t, err)
		synctest.Wait()
		start := time.Now()
		stop()
		got := readAnswer(t, conn, "GET")
		took(t, start, 3500*time.Millisecond)
		assert.Equal(t, 503, got.status)
		assert.NotEmpty(t, got.header.Get("Retry-After"))
		require.NoError(t, <-served)
		assert.LessOrEqual(t, time.Since(start), 4*time.Second)
	})
}

// The drain ends after 4 s, though a client does not read.
func TestServe_DrainCutsSlowReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		l := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		api := h.api(t, "")
		go func() { served <- listener.Serve(ctx, l, api, listener.APILimits()) }()
		conn := l.dial()
		_, err := conn.Write(ask{target: tokenPath}.bytes())
		require.NoError(t, err)
		synctest.Wait()
		start := time.Now()
		stop()
		require.NoError(t, <-served)
		took(t, start, 4*time.Second)
		_, err = conn.Read(make([]byte, 1))
		assert.Error(t, err)
	})
}

// A request waits for 12 s at most.
func TestServe_WaitsTwelveSeconds(t *testing.T) {
	for _, a := range []ask{{target: tokenPath}, {method: "POST", target: refreshPath, body: `{"rejected":"x"}`}} {
		synctest.Test(t, func(t *testing.T) {
			h := newTestSidecar(t, nil)
			// Another sidecar holds the lease, and this one watches it for longer
			// than a caller waits.
			h.memcached.Put(appID+":lease", "another-sidecar", 0, 3600)
			h.keep(t, appID)
			l := newPipes()
			serveOn(t, l, h.api(t, ""))
			start := time.Now()
			got := a.over(t, l.dial)
			took(t, start, 12*time.Second)
			assert.Equal(t, 503, got.status)
			assert.Contains(t, got.body, `"errcode":-1`)
			assert.NotEmpty(t, got.header.Get("Retry-After"))
		})
	}
}

// An incomplete head is cut after 5 s.
func TestServe_EndlessHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		l := newPipes()
		serveOn(t, l, h.api(t, ""))
		conn := l.dial()
		start := time.Now()
		_, err := conn.Write([]byte("GET " + tokenPath + " HTTP/1.1\r\nHost: localhost\r\n"))
		require.NoError(t, err)
		rest, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Empty(t, rest)
		took(t, start, 5*time.Second)
	})
}

// An incomplete body is cut after 5 s.
func TestServe_EndlessBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		l := newPipes()
		serveOn(t, l, h.api(t, ""))
		conn := l.dial()
		start := time.Now()
		_, err := conn.Write([]byte("POST " + refreshPath + " HTTP/1.1\r\nHost: localhost\r\nX-Wxsidecar: 1\r\nContent-Length: 100\r\n\r\n{"))
		require.NoError(t, err)
		assert.Equal(t, 400, readAnswer(t, conn, "POST").status)
		took(t, start, 5*time.Second)
		_, err = conn.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
	})
}

// An unread answer is cut after 20 s.
func TestServe_UnreadAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		l := newPipes()
		serveOn(t, l, h.api(t, ""))
		for _, answered := range []int{0, 3} { // the deadline is not set anew for each request
			conn := l.dial()
			reader := bufio.NewReader(conn)
			for range answered {
				_, err := conn.Write(ask{target: tokenPath}.bytes())
				require.NoError(t, err)
				assert.Equal(t, 200, readAnswer(t, reader, "GET").status)
				time.Sleep(2 * time.Second)
			}
			_, err := conn.Write(ask{target: tokenPath}.bytes())
			require.NoError(t, err)
			time.Sleep(15*time.Second - time.Millisecond)
			one := make([]byte, 1)
			_, err = conn.Read(one)
			require.NoError(t, err, "not before 15 s")
			time.Sleep(5*time.Second + 2*time.Millisecond)
			_, err = io.ReadAll(conn)
			require.NoError(t, err)
			_, err = conn.Write(one)
			require.ErrorIs(t, err, io.ErrClosedPipe)
		}
	})
}

// A client that still sends can read its refusal.
func TestServe_RefusalWhileSending(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	for _, address := range []string{"127.0.0.1:0", "unix://" + filepath.Join(t.TempDir(), "s")} {
		dial := serve(t, h.api(t, ""), address)
		conn := dial()
		head := "POST " + refreshPath + " HTTP/1.1\r\nHost: localhost\r\nX-Wxsidecar: 1\r\nContent-Length: 2000000\r\n\r\n"
		_, _ = conn.Write([]byte(head + strings.Repeat("x", 300<<10))) // it may be cut off
		assert.Equal(t, 413, readAnswer(t, conn, "POST").status)
		require.NoError(t, conn.Close())
	}
}

// A connection serves many requests, and may be idle for 15 s.
func TestServe_IdleFifteenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		l := newPipes()
		serveOn(t, l, h.api(t, ""))
		conn := l.dial()
		reader := bufio.NewReader(conn)
		older := ask{method: "POST", target: refreshPath, body: `{"rejected":"an-older-token"}`}
		for _, a := range []ask{{target: tokenPath}, older, {target: tokenPath}} {
			_, err := conn.Write(a.bytes())
			require.NoError(t, err)
			assert.Equal(t, 200, readAnswer(t, reader, "GET").status)
			time.Sleep(14 * time.Second)
		}
		time.Sleep(2 * time.Second)
		_, err := conn.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
	})
}

// A head over 8 KiB is refused.
func TestServe_LongHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		l := newPipes()
		serveOn(t, l, h.api(t, ""))
		conn := l.dial()
		long := ask{target: tokenPath, header: []string{"X-Long: " + string(make([]byte, 9<<10))}}
		go func() { _, _ = conn.Write(long.bytes()) }()
		assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, readAnswer(t, conn, "GET").status)
		require.NoError(t, conn.Close())
	})
}

// Serve returns the listener's error.
func TestServe_FailingListener(t *testing.T) {
	broken := errors.New("broken")
	err := listener.Serve(t.Context(), failingListener{newPipes(), broken}, http.NotFoundHandler(), listener.APILimits())
	assert.ErrorIs(t, err, broken)
}

type failingListener struct {
	net.Listener
	err error
}

func (l failingListener) Accept() (net.Conn, error) { return nil, l.err }
