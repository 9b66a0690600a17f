package systemtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// twoFleets are standalone sidecars with the AppSecret and a memcached of their own, and what
// a sidecar without the AppSecret needs to ask them.
type twoFleets struct {
	*programtest.Backends
	above     *realMemcached
	standings []*process
	addresses []string
	folder    string
	cert      string
	full      string // the bearer token's file
	reader    string // that for readers
	noWeChat  *noWeChat
}

// noWeChat counts connections. It is WeChat for sidecars that must not know it.
type noWeChat struct {
	url   string
	count atomic.Int64
}

func newNoWeChat(t *testing.T) *noWeChat {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	tr, ended := &noWeChat{url: "http://" + listener.Addr().String()}, make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tr.count.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	return tr
}

func newTwoFleets(t *testing.T) *twoFleets {
	t.Helper()
	f := &twoFleets{Backends: programtest.NewBackends(t), above: newRealMemcached(t), folder: t.TempDir(), noWeChat: newNoWeChat(t)}
	cert, key := programtest.WritePair(t, f.folder)
	f.cert = cert
	f.full = programtest.WriteFile(t, filepath.Join(f.folder, "full"), "canarysecret-bearer\n")
	f.reader = programtest.WriteFile(t, filepath.Join(f.folder, "reader"), "canarysecret-reader\n")
	for range 2 {
		address, ops := programtest.Address(t), programtest.Address(t)
		f.standings = append(f.standings, spawn(t, []string{
			"WECHAT_APPID=" + appID, "WECHAT_APPSECRET=" + testSecret, "WECHAT_BASE_URL=" + f.WeChatURL, "WECHAT_TICKETS=jsapi",
			"MEMCACHED_SERVERS=" + f.above.Address, "SIDECAR_LISTEN=" + address, "SIDECAR_OPS_LISTEN=" + ops,
			"SIDECAR_AUTH_TOKEN_FILE=" + f.full, "SIDECAR_READER_TOKEN_FILE=" + f.reader, "SIDECAR_TLS_CERT_FILE=" + cert, "SIDECAR_TLS_KEY_FILE=" + key, "SIDECAR_LOGIN=true",
		}))
		f.addresses = append(f.addresses, "https://"+address)
		ready(t, ops)
	}
	return f
}

// below is a sidecar without the AppSecret.
type below struct {
	*process
	client  *client.Client
	alone   *client.Client // asks the sidecar alone
	ops     string
	environ []string
}

// below starts a sidecar without the AppSecret, with these further variables.
func (f *twoFleets) below(t *testing.T, memcached string, environ ...string) *below {
	t.Helper()
	b := &below{ops: programtest.Address(t)}
	socket := filepath.Join(programtest.ShortDir(t), "api.sock")
	b.environ = append([]string{
		"WECHAT_APPID=" + appID, "MEMCACHED_SERVERS=" + memcached, "SIDECAR_UPSTREAM=" + strings.Join(f.addresses, ","), "SIDECAR_CA_FILE=" + f.cert,
		"WECHAT_BASE_URL=" + f.noWeChat.url, "SIDECAR_LISTEN=unix://" + socket, "SIDECAR_OPS_LISTEN=" + b.ops, "SIDECAR_URL=unix://" + socket,
	}, environ...)
	b.process = spawn(t, b.environ)
	open := func(server string) *client.Client {
		c, err := client.New(client.Config{AppID: appID, Servers: []string{server}, Sidecar: "unix://" + socket})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, c.Close()) })
		return c
	}
	b.client, b.alone = open(memcached), open("off")
	return b
}

// An app whose sidecar has no AppSecret reads through restarts of its memcached, the end of a
// standalone sidecar, an external fetch and a report. Its users log in. Its pod's environment and
// memory have no AppSecret, and it sends nothing to WeChat.
func TestUpstream_AppSecretInOneFleet(t *testing.T) {
	t.Parallel()
	f, memcached := newTwoFleets(t), newRealMemcached(t)
	first := f.below(t, memcached.Address, "SIDECAR_UPSTREAM_TOKEN_FILE="+f.full, "SIDECAR_LOGIN=true")
	second := f.below(t, memcached.Address, "SIDECAR_UPSTREAM_TOKEN_FILE="+f.full)
	ready(t, first.ops)
	ready(t, second.ops)

	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	var mu sync.Mutex
	// WeChat refuses what is below, until both sidecars have the upstream's answer. An app asks
	// its own one when memcached is slow.
	var healing atomic.Bool
	reads, failed, refused := 0, 0, 0
	for _, app := range []*client.Client{first.client, second.client} {
		reading.Go(func() {
			for range time.Tick(4 * time.Millisecond) {
				token, err := app.AccessToken(ctx)
				if ctx.Err() != nil {
					return
				}
				code := f.WeChat.Accepts(token)
				mu.Lock()
				reads++
				if err != nil {
					failed++
				} else if code != 0 && !healing.Load() {
					refused++
				}
				mu.Unlock()
			}
		})
	}
	current := func() string { return programtest.Entry(t, f.above.store) }
	arrives := func(what string) time.Duration {
		start := time.Now()
		require.Eventually(t, func() bool {
			token := programtest.Entry(t, memcached.store)
			return token == current() && token == f.LastToken()
		}, 40*time.Second, often, what)
		return time.Since(start)
	}
	arrives("the first token")
	memcached.Restart(t)
	arrives("a restarted memcached is full again")
	assert.Equal(t, 1, f.WeChat.Requests("", "token"), "without a request")

	f.standings[0].Kill()
	token, err := first.client.AccessToken(t.Context())
	require.NoError(t, err)
	external := f.WeChat.FetchExternally(appID)
	healing.Store(true) // the renewal ends the grace period of the token before the external one
	f.above.Ask(t, fmt.Sprintf("set %s 0 3600 %d\r\n%s", appID, len(external), external))
	require.Eventually(t, func() bool { return current() != external && current() != token }, 40*time.Second, often, "the upstream heals")
	took := arrives("what the upstream healed")
	assert.Less(t, took, 27*time.Second, "11 s of the mark, and a poll")
	for _, b := range []*below{first, second} {
		require.Eventually(t, func() bool {
			token, err := b.alone.AccessToken(t.Context())
			return err == nil && token == current()
		}, 20*time.Second, often, "the sidecar polls")
	}
	healing.Store(false)
	assert.Equal(t, 2, f.WeChat.Requests("", "token"))
	again := f.reportedOn(t, second.client)

	stop()
	reading.Wait()
	assert.Zero(t, failed)
	assert.Zero(t, refused)
	assertSame(t, f.LastToken(), again, "a report renews upstream")
	assert.Equal(t, 3, f.WeChat.Requests("", "token"))
	t.Logf("%d reads, %d failed, %d of invalid tokens; 3 requests; healed upstream to below: %s", reads, failed, refused, took)

	session, err := first.client.Login(t.Context(), "canarytoken-1")
	require.NoError(t, err)
	assertSame(t, wechattest.SessionKey, session.SessionKey, "the user's session key")
	assert.Equal(t, 40163, refusal(t, first.client, "canarytoken-1").Code)
	assert.Len(t, f.WeChat.Logins(), 2)
	assert.Equal(t, http.StatusNotFound, refusal(t, second.client, "canarytoken-2").Code, "logins are off there")
	assert.Zero(t, f.noWeChat.count.Load(), "connections to WeChat")

	_, found := searched(t, f.standings[1].Command.Process.Pid)
	assert.True(t, found, "the search finds it where it is")
	for _, p := range []*below{first, second} {
		size, found := searched(t, p.Command.Process.Pid)
		assert.False(t, found, "the AppSecret is in a sidecar that needs none")
		t.Logf("%d MB of memory and environment searched", size>>20)
	}
}

// reportedOn reports the token, as soon as the upstream takes a report after the one that an
// external fetch caused, and returns the next one.
func (f *twoFleets) reportedOn(t *testing.T, app *client.Client) (fresh string) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, err := app.Refresh(t.Context(), f.LastToken())
		fresh = got
		return err == nil
	}, 45*time.Second, time.Second, "the report")
	return fresh
}

// searched searches the environment and the memory of a process for the AppSecret. It
// returns how much it read.
func searched(t *testing.T, pid int) (size int, found bool) {
	t.Helper()
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	require.NoError(t, err)
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	require.NoError(t, err)
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	require.NoError(t, err)
	defer func() { assert.NoError(t, mem.Close()) }()
	found = bytes.Contains(environ, []byte(testSecret))
	size = len(environ)
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "[v") { // the kernel's
			continue
		}
		var from, to int64
		var mode string
		_, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode)
		require.NoError(t, err)
		if mode[0] != 'r' || to-from > 256<<20 { // a reservation
			continue
		}
		part := make([]byte, to-from)
		n, _ := mem.ReadAt(part, from) // some mappings cannot be read
		found = found || bytes.Contains(part[:n], []byte(testSecret))
		size += n
	}
	return size, found
}

// A read-only sidecar in memory alone gives the token, and reports none: 403. A sidecar that
// names it as its upstream is refused.
func TestUpstream_ReadOnlyInMemory(t *testing.T) {
	t.Parallel()
	f := newTwoFleets(t)
	address := programtest.Address(t)
	own := programtest.WriteFile(t, filepath.Join(f.folder, "own"), "canarysecret-of-below\n")
	b := f.below(t, "off", "SIDECAR_READER_TOKEN_FILE="+f.reader, "WECHAT_TICKETS=jsapi")
	ready(t, b.ops)
	token, err := b.client.AccessToken(t.Context())
	require.NoError(t, err)
	assertSame(t, f.LastToken(), token, "the upstream's")
	exit, printed := runCLI(t, b.environ, "token")
	assert.Equal(t, exitFine, exit)
	assertSame(t, token, strings.TrimSpace(printed), "sidecar token")
	ticket, err := b.client.Ticket(t.Context(), client.JSAPI)
	require.NoError(t, err)
	assert.Zero(t, f.WeChat.AcceptsTicket(ticket))
	var refused *client.Error
	_, err = b.client.Refresh(t.Context(), token)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, http.StatusForbidden, refused.Code)
	assert.Equal(t, 1, f.WeChat.Requests("", "token"))
	assert.Contains(t, get(t, "http://"+b.ops+"/status.json"), `"read_only"`)
	assert.Contains(t, get(t, "http://"+b.ops+"/?lang=en"), "read-only")
	assert.Contains(t, get(t, "http://"+b.ops+"/?lang=zh"), "只读")

	chain := f.below(t, "off", "SIDECAR_READER_TOKEN_FILE="+f.reader, "SIDECAR_LISTEN="+address, "SIDECAR_AUTH_TOKEN_FILE="+own)
	ready(t, chain.ops)
	last := f.below(t, "off", "SIDECAR_UPSTREAM=http://"+address, "SIDECAR_CA_FILE=", "SIDECAR_UPSTREAM_TOKEN_FILE="+own)
	eventually(t, func() bool {
		return strings.Contains(last.Stderr.String(), "this sidecar has an upstream itself: SIDECAR_UPSTREAM is set")
	}, "the refusal")

	exit, table := runCLI(t, []string{
		"WECHAT_APPID=" + appID, "MEMCACHED_SERVERS=off", "SIDECAR_UPSTREAM=" + f.addresses[0], "SIDECAR_CA_FILE=" + f.cert,
		"SIDECAR_READER_TOKEN_FILE=" + f.reader, "SIDECAR_OPS_LISTEN=" + b.ops,
	}, "check")
	assert.Equal(t, exitFine, exit, table)
	assert.Contains(t, table, "gives the access_token of "+appID)
	assert.NotContains(t, table, "AppSecret of")
	exit, table = runCLI(t, []string{
		"WECHAT_APPID=" + appID, "MEMCACHED_SERVERS=off", "SIDECAR_UPSTREAM=" + f.addresses[0], "SIDECAR_CA_FILE=" + f.cert,
		"SIDECAR_UPSTREAM_TOKEN_FILE=" + own, "SIDECAR_OPS_LISTEN=" + b.ops,
	}, "check")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, table, "SIDECAR_UPSTREAM_TOKEN_FILE")
}
