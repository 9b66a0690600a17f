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

func TestWhatIsInFlightIsFinishedWhenServeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(wechattest.Call) wechattest.Answer { return wechattest.Answer{Delay: 3 * time.Second} }
		h := newHouse(t, slow, appID)
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

func TestWhoStillWaitsNearTheEndOfTheDrainIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(wechattest.Call) wechattest.Answer { return wechattest.Answer{Kind: wechattest.Hang} }
		h := newHouse(t, hang, appID)
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

func TestWhoDoesNotTakeHisAnswerIsCutAfterFourSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil, appID)
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

func TestARequestWaitsTwelveSeconds(t *testing.T) {
	for _, a := range []ask{{target: tokenPath}, {method: "POST", target: refreshPath, body: `{"rejected":"x"}`}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, nil)
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

func TestAHeadThatDoesNotEndIsCutAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil, appID)
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

func TestABodyThatDoesNotEndIsCutAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil, appID)
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

func TestWhoDoesNotTakeHisAnswerIsCutAfterTwentySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil, appID)
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

func TestWhoStillSendsCanReadWhyHeIsRefused(t *testing.T) {
	h := newHouse(t, nil, appID)
	for _, address := range []string{"127.0.0.1:0", "unix://" + filepath.Join(t.TempDir(), "s")} {
		dial := serve(t, h.api(t, ""), address)
		conn := dial()
		head := "POST " + refreshPath + " HTTP/1.1\r\nHost: localhost\r\nX-Wxsidecar: 1\r\nContent-Length: 2000000\r\n\r\n"
		_, _ = conn.Write([]byte(head + strings.Repeat("x", 300<<10))) // it may be cut off
		assert.Equal(t, 413, readAnswer(t, conn, "POST").status)
		require.NoError(t, conn.Close())
	}
}

func TestAConnectionServesManyRequestsAndMayRestFifteenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil, appID)
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

func TestAHeadOverEightKiBIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil, appID)
		l := newPipes()
		serveOn(t, l, h.api(t, ""))
		conn := l.dial()
		long := ask{target: tokenPath, header: []string{"X-Long: " + string(make([]byte, 9<<10))}}
		go func() { _, _ = conn.Write(long.bytes()) }()
		assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, readAnswer(t, conn, "GET").status)
		require.NoError(t, conn.Close())
	})
}

func TestAListenerThatFailsEndsServeWithItsError(t *testing.T) {
	broken := errors.New("broken")
	err := listener.Serve(t.Context(), failingListener{newPipes(), broken}, http.NotFoundHandler(), listener.APILimits())
	assert.ErrorIs(t, err, broken)
}

type failingListener struct {
	net.Listener
	err error
}

func (l failingListener) Accept() (net.Conn, error) { return nil, l.err }
