//go:build attack

package systemtest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	apiHead  = " HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Wxsidecar: 1\r\n"
	apiGet   = "GET /v1/" + appID + "/access_token" + apiHead
	apiPost  = "POST /v1/" + appID + "/access_token/refresh" + apiHead
	crowded  = 2000 // concurrent connections
	slowly   = 250 * time.Millisecond
	slowAcct = "wxslow"
)

// long is nearly as long as a request head can be.
var long = strings.Repeat("a", 7<<10)

// crowd runs n attackers, which reconnect as soon as they are disconnected.
func crowd(ctx context.Context, n int, address string, act func(ctx context.Context, conn net.Conn)) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
				if err == nil {
					stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
					act(ctx, conn)
					stop()
					_ = conn.Close()
				}
				pause(ctx, 50*time.Millisecond) // everything runs on one machine
			}
		})
	}
	all.Wait()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// drip sends text, then a byte every slowly until it is disconnected.
func drip(text string) func(context.Context, net.Conn) {
	return func(ctx context.Context, conn net.Conn) {
		_, err := io.WriteString(conn, text)
		for err == nil && ctx.Err() == nil {
			pause(ctx, slowly)
			_, err = io.WriteString(conn, "a")
		}
	}
}

// pour sends text, then as much as the server reads.
func pour(text, more string) func(context.Context, net.Conn) {
	more = strings.Repeat(more, 1+32<<10/len(more))
	return func(ctx context.Context, conn net.Conn) {
		_, err := io.WriteString(conn, text)
		for err == nil && ctx.Err() == nil {
			_, err = io.WriteString(conn, more)
		}
		_, _ = io.Copy(io.Discard, conn) // the refusal
	}
}

// silent sends text, then neither reads nor writes.
func silent(text string) func(context.Context, net.Conn) {
	return func(ctx context.Context, conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		<-ctx.Done()
	}
}

// unread sends requests and never reads an answer.
func unread(request string) func(context.Context, net.Conn) {
	return func(ctx context.Context, conn net.Conn) {
		var err error
		for err == nil && ctx.Err() == nil {
			_, err = io.WriteString(conn, request)
		}
	}
}

// asking sends requests and reads the answers.
func asking(request string) func(context.Context, net.Conn) {
	return func(ctx context.Context, conn net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		var err error
		for err == nil && ctx.Err() == nil {
			_, err = io.WriteString(conn, request)
			pause(ctx, time.Millisecond)
		}
	}
}

// babble sends random bytes.
func babble(_ context.Context, conn net.Conn) {
	text := make([]byte, 8<<10)
	for i := range text {
		text[i] = byte(rand.Uint32())
	}
	_, _ = conn.Write(append(text, "\r\n\r\n"...))
	_, _ = io.Copy(io.Discard, conn)
}

// oddities sends requests that net/http or this program must refuse.
func oddities(_ context.Context, conn net.Conn) {
	for _, text := range []string{
		"GET / HTTP/0.9\r\n\r\n", "GET / HTTP/3.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		apiPost + "Content-Length: -1\r\n\r\n", apiPost + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		apiPost + "Content-Length: 99999999999999999999\r\n\r\n", apiPost + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nffffffffffffffff\r\n",
		apiPost + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", apiPost + "Expect: 100-continue\r\nContent-Length: 8\r\n\r\n",
		apiPost + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 8000, strings.Repeat("[", 8000)),
		"GET " + strings.Repeat("/..", 3000) + apiHead + "\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\r\n\r\n\r\n",
	} {
		inner, err := new(net.Dialer).DialContext(context.Background(), "tcp", conn.RemoteAddr().String())
		if err != nil {
			return
		}
		_ = inner.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(inner, text)
		_, _ = io.Copy(io.Discard, inner)
		_ = inner.Close()
	}
}

func attackAPI(t *testing.T) {
	for _, a := range []struct {
		name string
		n    int
		act  func(context.Context, net.Conn)
	}{
		{"API: idle connections", crowded, silent("")},
		{"API: slow request heads", crowded, drip(apiGet + "X-Slow: ")},
		{"API: slow request heads, after 7 kB", crowded, drip(apiGet + "X-Slow: " + long)},
		{"API: slow bodies", crowded, drip(apiPost + "Content-Length: 8000\r\n\r\n{")},
		{"API: endless heads", 32, pour(apiGet, "X-Long: "+strings.Repeat("a", 100)+"\r\n")},
		{"API: endless bodies", 32, pour(apiPost+"Transfer-Encoding: chunked\r\n\r\n", "400\r\n"+strings.Repeat("a", 1024)+"\r\n")},
		{"API: unread answers", crowded, unread(apiGet + "\r\n")},
		{"API: requests at full speed", 64, asking(strings.Repeat(apiGet+"\r\n", 10))},
		{"API: random bytes", 200, babble},
		{"API: malformed requests", 20, oddities},
	} {
		s, environ := newTarget(t)
		runAttack(t, a.name, thousands(a.n), environ, s, func(ctx context.Context, s *target) { crowd(ctx, a.n, s.api, a.act) })
	}

	s, environ := newTarget(t)
	s.wechat.AddAccount(slowAcct, testSecret)
	s.wechat.OnRequest(func(request wechattest.Request) wechattest.Answer {
		if request.AppID == slowAcct {
			return wechattest.Answer{Kind: wechattest.Hang}
		}
		return wechattest.Answer{}
	})
	folder := t.TempDir()
	programtest.WriteFile(t, folder+"/"+slowAcct, testSecret)
	waiting := silent(strings.ReplaceAll(apiGet, appID, slowAcct) + "\r\n")
	runAttack(t, "API: callers of an account whose request to WeChat hangs", thousands(crowded), append(environ, "WECHAT_ACCOUNTS_DIR="+folder), s,
		func(ctx context.Context, s *target) { crowd(ctx, crowded, s.api, waiting) })
}

func attackOps(t *testing.T) {
	const head = " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	for _, a := range []struct {
		name string
		n    int
		act  func(context.Context, net.Conn)
	}{
		{"ops: idle connections", crowded, silent("")},
		{"ops: slow request heads", crowded, drip("GET /livez" + head + "X-Slow: ")},
		{"ops: unread pages", crowded, unread("GET /" + head + "\r\n")},
		{"ops: metrics at full speed", 64, asking("GET /metrics" + head + "\r\n")},
	} {
		s, environ := newTarget(t)
		runAttack(t, a.name, thousands(a.n), environ, s, func(ctx context.Context, s *target) { crowd(ctx, a.n, s.ops, a.act) })
	}

	for _, a := range []struct {
		name     string
		api, ops func(context.Context, net.Conn)
	}{
		{"API and ops: slow request heads, after 7 kB", drip(apiGet + "X-Slow: " + long), drip(apiGet + "X-Slow: " + long)},
		{"API and ops: unread answers", unread(apiGet + "\r\n"), unread("GET /" + head + "\r\n")},
	} {
		s, environ := newTarget(t)
		runAttack(t, a.name, "2 × "+thousands(crowded), environ, s, func(ctx context.Context, s *target) {
			var both sync.WaitGroup
			both.Go(func() { crowd(ctx, crowded, s.api, a.api) })
			both.Go(func() { crowd(ctx, crowded, s.ops, a.ops) })
			both.Wait()
		})
	}
}
