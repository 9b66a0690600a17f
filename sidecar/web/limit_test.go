package web_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// serveLimited serves the API over at most that many connections until the test ends.
func serveLimited(t *testing.T, api http.Handler, limit int) *pipes {
	t.Helper()
	l := newPipes()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- listener.Serve(ctx, l, api, listener.Limits{Connections: limit, RequestTimeout: 5 * time.Second})
	}()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-served)
	})
	return l
}

// Slow clients keep nobody out.
func TestServe_SlowClients(t *testing.T) {
	for name, part := range map[string]string{
		"nothing said":      "",
		"half a head":       "GET " + tokenPath + " HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
		"a head, no body":   "POST " + refreshPath + " HTTP/1.1\r\nHost: localhost\r\nX-Wxsidecar: 1\r\nContent-Length: 100\r\n\r\n{",
		"a chunk, no end":   "POST " + refreshPath + " HTTP/1.1\r\nHost: localhost\r\nX-Wxsidecar: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{",
		"nonsense, no line": "\x16\x03\x01",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const limit = 8
				h := newTestSidecar(t, nil, appID)
				l := serveLimited(t, h.api(t, ""), limit)
				slow := make([]net.Conn, 3*limit)
				for i := range slow {
					slow[i] = l.dial()
					if part == "" {
						continue
					}
					_, err := io.WriteString(slow[i], part)
					require.NoError(t, err)
				}
				synctest.Wait()
				start := time.Now()
				assert.Equal(t, 200, ask{target: tokenPath}.over(t, l.dial).status)
				assert.LessOrEqual(t, time.Since(start), 50*time.Millisecond, "at once")
				cut := 0
				for _, conn := range slow {
					if conn.SetReadDeadline(time.Now()) != nil { // it is closed
						cut++
					}
					require.NoError(t, conn.Close())
				}
				assert.InDelta(t, 2*limit, cut, 1, "those beyond the limit were closed")
			})
		})
	}
}

// A client that waits for a credential keeps its connection.
func TestServe_WaitingClientStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: 5 * time.Second} }, appID)
		l := serveLimited(t, h.api(t, ""), 1)
		first := l.dial()
		_, err := first.Write(ask{target: tokenPath}.bytes())
		require.NoError(t, err)
		synctest.Wait()
		start, second := time.Now(), l.dial()
		asked := make(chan error, 1)
		go func() {
			_, err := second.Write(ask{target: tokenPath}.bytes())
			asked <- err
		}()
		synctest.Wait()
		require.Empty(t, asked, "its request is not read yet")
		assert.Equal(t, 200, readAnswer(t, first, "GET").status)
		took(t, start, 5*time.Second)
		require.NoError(t, <-asked)
		assert.Equal(t, 200, readAnswer(t, second, "GET").status, "the first is idle now, and is closed")
		took(t, start, 5*time.Second)
		require.NoError(t, first.Close())
		require.NoError(t, second.Close())
	})
}

// Of idle connections, the one that was idle longest is closed.
func TestServe_LatestIdleClientStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		l := serveLimited(t, h.api(t, ""), 3)
		older, newer, other := l.dial(), l.dial(), l.dial()
		reader := bufio.NewReader(older)
		for _, conn := range []net.Conn{newer, other, older} { // the oldest connection asked last
			_, err := conn.Write(ask{target: tokenPath}.bytes())
			require.NoError(t, err)
			from := io.Reader(conn)
			if conn == older {
				from = reader
			}
			assert.Equal(t, 200, readAnswer(t, from, "GET").status)
			synctest.Wait()
		}
		assert.Equal(t, 200, ask{target: tokenPath}.over(t, l.dial).status)
		synctest.Wait()
		fresh := []net.Conn{l.dial(), l.dial()}
		_, err := older.Write(ask{target: tokenPath}.bytes())
		require.NoError(t, err)
		assert.Equal(t, 200, readAnswer(t, reader, "GET").status)
		for _, conn := range append(fresh, older, newer, other) {
			require.NoError(t, conn.Close())
		}
	})
}

// A full listener can be closed.
func TestServe_FullListenerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: time.Second} }, appID)
		l := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		api := h.api(t, "")
		go func() {
			served <- listener.Serve(ctx, l, api, listener.Limits{Connections: 1, RequestTimeout: 5 * time.Second})
		}()
		conn := l.dial()
		_, err := conn.Write(ask{target: tokenPath}.bytes())
		require.NoError(t, err)
		synctest.Wait()
		stop()
		assert.Equal(t, 200, readAnswer(t, conn, "GET").status)
		require.NoError(t, <-served)
	})
}
