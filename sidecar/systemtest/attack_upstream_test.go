//go:build attack

package systemtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// attackFromMemcached is an attacker who writes to memcached, and a malicious server in
// its place.
func attackFromMemcached(t *testing.T) {
	const accounts = 100
	giant := strings.Repeat("a", 1_000_000)
	fields := `{"number":9,"past":["x"],`
	for i := range 1500 {
		fields += fmt.Sprintf(`"%d":1,`, i)
	}
	fields += `"x":1}`
	for _, a := range []struct{ name, entry, record, lease string }{
		{"memcached: entries, records and leases of 1 MB for 100 accounts", giant, giant, giant},
		{"memcached: records of 1,500 unknown fields for 100 accounts", "x y", fields, `{"cooldown":` + strings.Repeat("[", 4000)},
		{"memcached: records of absurd numbers and deep JSON", "\x00", `{"number":1e308,"token":` + strings.Repeat(`{"a":`, 3000), "-1"},
	} {
		s, environ := newTarget(t)
		folder := t.TempDir()
		for i := range accounts {
			id := fmt.Sprintf("wxaccount%d", i)
			s.wechat.AddAccount(id, testSecret)
			programtest.WriteFile(t, filepath.Join(folder, id), testSecret)
		}
		runAttack(t, a.name, "1", append(environ, "WECHAT_ACCOUNTS_DIR="+folder), s, func(ctx context.Context, s *target) {
			every(ctx, 100*time.Millisecond, func() {
				for i := range accounts {
					id := fmt.Sprintf("wxaccount%d", i)
					s.memcached.Put(id, a.entry, 0, 0)
					s.memcached.Put(id+":record", a.record, 0, 0)
					s.memcached.Put(id+":lease", a.lease, 0, 0)
					s.memcached.Put(id+":failures", a.entry, 0, 0)
				}
				_ = ask(ctx, "http://"+s.api+"/v1/wxaccount1/access_token") // the sidecar polls
			})
		})
	}

	for _, a := range maliciousServers {
		s := &target{wechat: wechattest.New(), memcached: memcachetest.New()}
		s.wechat.AddAccount(appID, testSecret)
		url, certificate, stop, err := s.wechat.ListenTLS()
		require.NoError(t, err)
		t.Cleanup(stop)
		turned := &maliciousServer{more: a.more}
		server := turned.listen(t, s.memcached)
		environ := []string{"MEMCACHED_SERVERS=" + server, "WECHAT_BASE_URL=" + url, trusting(t, certificate)}
		runAttack(t, a.name, "1", environ, s, func(ctx context.Context, s *target) {
			turned.malicious.Store(true)
			turned.cutAll()
			every(ctx, 100*time.Millisecond, func() { _ = s.read(ctx) })
		})
		assert.Positive(t, turned.connected.Load(), "the sidecar connected")
	}
}

// maliciousServers are answers of servers in memcached's place.
var maliciousServers = []struct{ name, more string }{
	{"memcached: a value of 4 GB announced", "VALUE " + appID + " 0 4294967295 1\r\n" + strings.Repeat("a", 32<<10)},
	{"memcached: endless answers", "VALUE %d 0 1 1\r\nx\r\n"},
	{"memcached: endless lines", strings.Repeat("a", 32<<10)},
	{"memcached: a byte every 100 ms", ""},
}

// maliciousServer is a memcached that later turns malicious.
type maliciousServer struct {
	more      string // what it answers repeatedly; %d counts; "": a byte every 100 ms
	malicious atomic.Bool
	connected atomic.Int64

	mu    sync.Mutex
	conns []net.Conn // guarded by mu
}

func (c *maliciousServer) cutAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

func (c *maliciousServer) listen(t *testing.T, sound *memcachetest.Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns = append(c.conns, conn)
			c.mu.Unlock()
			all.Go(func() { c.serve(conn, sound) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.cutAll()
		assert.NoError(t, sound.Close())
		all.Wait()
	})
	return l.Addr().String()
}

func (c *maliciousServer) serve(conn net.Conn, sound *memcachetest.Server) {
	defer func() { _ = conn.Close() }()
	if !c.malicious.Load() {
		inner, err := sound.Dial(context.Background(), "tcp", "")
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(inner, conn); _ = inner.Close() }()
		_, _ = io.Copy(conn, inner)
		return
	}
	if _, err := conn.Read(make([]byte, 4<<10)); err != nil {
		return
	}
	c.connected.Add(1)
	for i := 0; ; i++ {
		text := c.more
		switch {
		case text == "":
			time.Sleep(100 * time.Millisecond)
			text = "V"
		case strings.Contains(text, "%d"):
			text = strings.ReplaceAll(text, "%d", fmt.Sprint(i))
		}
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

// answers are those of a malicious WeChat, each to its own account.
func answers(elsewhere string) map[string]func(conn net.Conn) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	say := func(texts ...string) func(net.Conn) {
		return func(conn net.Conn) { _, _ = io.WriteString(conn, strings.Join(texts, "")) }
	}
	forever := func(head, more string, pause time.Duration) func(net.Conn) {
		return func(conn net.Conn) {
			_, err := io.WriteString(conn, head)
			for err == nil {
				time.Sleep(pause)
				_, err = io.WriteString(conn, more)
			}
		}
	}
	sized := func(body string) string { return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", ok, len(body), body) }
	var bomb bytes.Buffer
	packer, _ := gzip.NewWriterLevel(&bomb, gzip.BestCompression)
	_, _ = packer.Write([]byte(`{"access_token":"`))
	for range 64 {
		_, _ = packer.Write(bytes.Repeat([]byte("a"), 1<<20))
	}
	_ = packer.Close()
	part := strings.Repeat("a", 16<<10)
	redirect := func(status string) func(net.Conn) {
		return say("HTTP/1.1 " + status + "\r\nLocation: http://" + elsewhere + "/cgi-bin/token\r\nRefresh: 0; url=http://" + elsewhere + "\r\nContent-Length: 0\r\n\r\n")
	}
	return map[string]func(conn net.Conn){
		"wxgigabyte":   forever(ok+"Content-Length: 1073741824\r\n\r\n"+`{"access_token":"`, part, 0),
		"wxchunks":     forever(ok+"Transfer-Encoding: chunked\r\n\r\n", "4000\r\n"+part+"\r\n", 0),
		"wxextensions": forever(ok+"Transfer-Encoding: chunked\r\n\r\n", "1;"+part+"\r\na\r\n", 0),
		"wxtrailers":   forever(ok+"Transfer-Encoding: chunked\r\n\r\n0\r\n", "X-Trailer: "+part+"\r\n", 0),
		"wxheaders":    forever(ok, "X-Header: "+part+"\r\n", 0),
		"wxheader":     forever(ok+"X-Header: ", part, 0),
		"wxstatus":     forever("HTTP/1.1 200 ", part, 0),
		"wxhints":      forever("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 0),
		"wxslowbody":   forever(ok+"\r\n{", " ", 100*time.Millisecond),
		"wxslowhead":   forever(ok+"X-Slow: ", "a", 100*time.Millisecond),
		"wxdeep":       say(sized(strings.Repeat(`{"a":`, 12_000))),
		"wxdeeplist":   say(sized(strings.Repeat("[", 64<<10))),
		"wxfields":     say(sized("{" + strings.Repeat(`"a":1,`, 10_000) + `"b":1}`)),
		"wxerrmsg":     say(sized(`{"errcode":40164,"errmsg":"` + strings.Repeat(testSecret[:31]+" ", 2000) + `"}`)),
		"wxbomb":       say(ok, fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", bomb.Len()), bomb.String()),
		"wxshort":      say(ok, "Content-Length: 100\r\n\r\n{}"),
		"wxlong":       say(ok, "Content-Length: 1\r\n\r\n"+`{"access_token":"x","expires_in":7200}`),
		"wxtwolengths": say(ok, "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
		"wxold":        say(`{"access_token":"x","expires_in":7200}`),
		"wxother":      say("SSH-2.0-OpenSSH_9.9\r\n"),
		"wxmoved":      redirect("301 Moved Permanently"),
		"wxfound":      redirect("302 Found"),
		"wxtemporary":  redirect("307 Temporary Redirect"),
		"wxauth":       say("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"http://" + elsewhere + "\"\r\nContent-Length: 0\r\n\r\n"),
		"wxupgrade":    forever("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", part, 0),
	}
}

// attackFromWeChat is a malicious server in WeChat's place, with another answer for each
// account but one.
func attackFromWeChat(t *testing.T) {
	elsewhere, visitors := trap(t)
	s := &target{wechat: wechattest.New(), memcached: memcachetest.New()}
	s.wechat.AddAccount(appID, testSecret)
	all := answers(elsewhere)
	var mu sync.Mutex
	asked := map[string]int{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("appid")
		if all[id] == nil {
			s.wechat.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		asked[id]++
		mu.Unlock()
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		all[id](conn)
	}))
	t.Cleanup(server.Close)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	folder := t.TempDir()
	for id := range all {
		programtest.WriteFile(t, filepath.Join(folder, id), testSecret)
	}
	environ := append(s.serveMemcached(t), "WECHAT_BASE_URL="+server.URL, trusting(t, certificate), "WECHAT_ACCOUNTS_DIR="+folder)
	runAttack(t, fmt.Sprintf("WeChat: %d malicious answers at once", len(all)), fmt.Sprint(len(all)), environ, s, func(ctx context.Context, s *target) {
		var apps sync.WaitGroup
		for id := range all {
			apps.Go(func() {
				every(ctx, 100*time.Millisecond, func() {
					assert.Error(t, ask(ctx, "http://"+s.api+"/v1/"+id+"/access_token"), "%s gave a token", id)
				})
			})
		}
		apps.Wait()
	})
	mu.Lock()
	defer mu.Unlock()
	assert.Len(t, asked, len(all), "each was asked")
	for id, n := range asked {
		assert.LessOrEqual(t, n, 10, "the budget holds for %s", id)
	}
	assert.Zero(t, visitors.Load(), "no redirect was followed")
}
