package web_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

const (
	appID  = "wx0123456789abcdef"
	secret = "canarysecret-5f4dcc3b5aa765d6"
	bearer = "canarysecret-bearer-0123456789"
)

// testSidecar is a sidecar's keeper between a fake WeChat and a fake memcached, all in
// memory.
type testSidecar struct {
	wechat    *wechattest.Server
	memcached *memcachetest.Server
	group     *keeper.Group
	metrics   *web.Metrics
	log       *logbook
}

// newTestSidecar has an account for each AppID. hook may be nil; see wechattest.
func newTestSidecar(tb testing.TB, hook func(wechattest.Request) wechattest.Answer, appIDs ...string) *testSidecar {
	tb.Helper()
	h := &testSidecar{wechat: wechattest.New(), memcached: memcachetest.New(), metrics: web.NewMetrics(), log: &logbook{}}
	h.wechat.OnRequest(hook)
	transport, stop := h.wechat.Pipe()
	client, err := wechat.New(wechat.Config{
		BaseURLs: []string{"http://127.0.0.1"}, Transport: transport, Timeout: 10 * time.Second,
		Observe: func(_ wechat.Request, took time.Duration, _ error) { h.metrics.ObserveWeChat(took) },
	})
	require.NoError(tb, err)
	store, err := memcache.New(memcache.Config{Dial: h.memcached.Dial, Timeout: 5 * time.Second, Observe: h.metrics.ObserveMemcached})
	require.NoError(tb, err)
	h.group = keeper.New(keeper.Config{Store: store, WeChat: client, Log: slog.New(slog.NewTextHandler(h.log, nil))})
	tb.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		h.group.Close(ended)
		_ = store.Close()
		_ = h.memcached.Close()
		stop()
		for _, issue := range h.wechat.Issued() {
			assert.NotContains(tb, h.log.String(), issue.Token)
		}
		assert.NotContains(tb, h.log.String(), "canary", "nothing secret is logged")
	})
	h.keep(tb, appIDs...)
	return h
}

// keep says which accounts are kept.
func (h *testSidecar) keep(tb testing.TB, appIDs ...string) {
	tb.Helper()
	accounts := make([]keeper.Account, len(appIDs))
	for i, id := range appIDs {
		h.wechat.AddAccount(id, secret)
		accounts[i] = keeper.Account{AppID: id, Secret: func() (string, error) { return secret, nil }}
	}
	require.NoError(tb, h.group.SetAccounts(accounts))
}

// api is the API of the sidecar, at debug, so that all it logs is seen.
func (h *testSidecar) api(tb testing.TB, bearerFile string) http.Handler {
	tb.Helper()
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	api, err := web.NewAPI(web.APIConfig{Group: h.group, BearerFile: bearerFile, Metrics: h.metrics, Log: log})
	require.NoError(tb, err)
	return api
}

// ops is the ops listener's handler of the sidecar.
func (h *testSidecar) ops() http.Handler {
	return web.NewOps(web.OpsConfig{
		Group: h.group, Metrics: h.metrics, Name: "pod-7f9c", Version: "v0.1.0", Servers: []string{"memcached:11211"},
	})
}

// logbook is a log that many write.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer // mu guards it
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve serves h on address and returns how to dial it.
func serve(t *testing.T, h http.Handler, address string) func() net.Conn {
	t.Helper()
	l, err := listener.Open(t.Context(), address)
	require.NoError(t, err)
	return serveOn(t, l, h)
}

// serveOn serves h on l until the test ends.
func serveOn(t *testing.T, l net.Listener, h http.Handler) func() net.Conn {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- listener.Serve(ctx, l, h, listener.APILimits()) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-served)
	})
	return func() net.Conn {
		conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
		require.NoError(t, err)
		return conn
	}
}

// ask is a request as it goes over the wire.
type ask struct {
	method string // "": GET
	target string
	host   string // "": 127.0.0.1:7200
	noMark bool   // without X-Wxsidecar: 1
	header []string
	body   string
}

func (a ask) bytes() []byte {
	method, host := a.method, a.host
	if method == "" {
		method = http.MethodGet
	}
	if host == "" {
		host = "127.0.0.1:7200"
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, a.target, host)
	if !a.noMark {
		text.WriteString("X-Wxsidecar: 1\r\n")
	}
	for _, line := range a.header {
		text.WriteString(line + "\r\n")
	}
	if a.body != "" {
		fmt.Fprintf(&text, "Content-Length: %d\r\n", len(a.body))
	}
	text.WriteString("\r\n" + a.body)
	return text.Bytes()
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// over asks over a fresh connection.
func (a ask) over(t *testing.T, dial func() net.Conn) answer {
	t.Helper()
	conn := dial()
	defer func() { _ = conn.Close() }()
	_, err := conn.Write(a.bytes())
	require.NoError(t, err)
	return readAnswer(t, conn, a.method)
}

func readAnswer(t *testing.T, conn io.Reader, method string) answer {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// Of an answer, what changes from run to run.
var changing = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`"access_token":"[^"]*canarytoken[^"]*"`), `"access_token":"<token>"`},
	{regexp.MustCompile(`"expires_in":\d+`), `"expires_in":<seconds>`},
	{regexp.MustCompile(`rid: [0-9a-f-]+`), "rid: <rid>"},
	{regexp.MustCompile(`Retry-After: \d+`), "Retry-After: <seconds>"},
	{regexp.MustCompile(`Content-Length: \d+`), "Content-Length: <n>"},
}

// String is the answer as a golden file has it.
func (a answer) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d %s\n", a.status, http.StatusText(a.status))
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		if name != "Date" {
			fmt.Fprintf(&text, "%s: %s\n", name, strings.Join(a.header[name], " | "))
		}
	}
	text.WriteString("\n" + a.body)
	normal := text.String()
	for _, c := range changing {
		normal = c.pattern.ReplaceAllString(normal, c.to)
	}
	return normal
}

// golden compares text with a golden file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	require.NotContains(t, text, "canary", "a golden file holds no secret")
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test ./sidecar/web -update writes it")
	assert.Equal(t, string(want), text, "if this is intended, run go test ./sidecar/web -update and review the difference")
}
