//go:build attack

package systemtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// attackedApp is an app with the Go client, as a process.
type attackedApp struct {
	Memcached, Sidecar string
	Accounts           []string // the app reads their tokens continuously
	Life               time.Duration
}

const (
	// appVariable makes the test binary such an app.
	appVariable = "WXSIDECAR_ATTACKED"
	// maxCall is longer than a call can take: some timeouts of memcached, and 13 s of the
	// sidecar.
	maxCall = 15 * time.Second
)

func init() {
	var b attackedApp
	if json.Unmarshal([]byte(os.Getenv(appVariable)), &b) != nil {
		return
	}
	log.SetOutput(io.Discard) // net/http logs unsolicited answers
	all := make([]observed, len(b.Accounts))
	ctx, end := context.WithTimeout(context.Background(), b.Life)
	var apps sync.WaitGroup
	for i, id := range b.Accounts {
		apps.Go(func() {
			every(ctx, 20*time.Millisecond, func() {
				begin := time.Now()
				err := b.ask(id) // without a timeout of its own
				all[i].note(time.Since(begin), err)
			})
		})
	}
	apps.Wait()
	end()
	_ = json.NewEncoder(os.Stdout).Encode(all)
	os.Exit(0)
}

// ask uses a new client: an old one skips a memcached that failed.
func (b attackedApp) ask(id string) error {
	c, err := client.New(client.Config{AppID: id, Servers: []string{b.Memcached}, Sidecar: b.Sidecar})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, err = c.AccessToken(context.Background())
	return err
}

// run runs the app and adds a row of what it saw.
func (b attackedApp) run(t *testing.T, name string) (seen []observed) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	b.Life = *attackTime
	config, err := json.Marshal(b)
	require.NoError(t, err)
	app := exec.Command(self)
	app.Env = []string{appVariable + "=" + string(config)}
	app.Stderr = os.Stderr
	var saw bytes.Buffer
	app.Stdout = &saw
	require.NoError(t, app.Start())
	var peak int64
	ctx, end := context.WithCancel(t.Context())
	var measuring sync.WaitGroup
	measuring.Go(func() { every(ctx, 5*time.Millisecond, func() { peak = max(peak, privateMemory(app.Process.Pid)) }) })
	require.NoError(t, app.Wait())
	end()
	measuring.Wait()
	require.NoError(t, json.Unmarshal(saw.Bytes(), &seen))

	var sum observed
	for i, w := range seen {
		assert.Positive(t, w.Done, b.Accounts[i])
		sum.Done, sum.Failed, sum.Worst = sum.Done+w.Done, sum.Failed+w.Failed, max(sum.Worst, w.Worst)
	}
	row := fmt.Sprintf("| %s | %d | %.1f MB | %s, %s | %s ms |", name, len(b.Accounts), float64(peak)/1e6, thousands(sum.Done), thousands(sum.Failed), thousands(int(sum.Worst.Milliseconds())))
	clientRows = append(clientRows, row)
	t.Log(row)
	assert.Positive(t, peak)
	assert.Less(t, peak, int64(podLimit))
	assert.Less(t, sum.Worst, maxCall, "a call ends")
	return seen
}

// clientRows are the client's table.
var clientRows []string

// attackClient attacks an app with the Go client: first nothing, then everything that
// attacks a sidecar, as its memcached and as its sidecar.
func attackClient(t *testing.T) {
	t.Run("memcached", attackClientFromMemcached)
	t.Run("sidecar", attackClientFromSidecar)
}

func attackClientFromMemcached(t *testing.T) {
	sidecar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"access_token":"fromthesidecar","expires_in":3000}`)
	}))
	t.Cleanup(sidecar.Close)
	b := attackedApp{Sidecar: sidecar.URL, Accounts: slices.Repeat([]string{appID}, 8)}
	served := func(t *testing.T, seen []observed) {
		t.Helper()
		for _, w := range seen {
			assert.Zero(t, w.Failed, "the sidecar's token is given: %s", w.First)
		}
	}
	for _, a := range []struct{ name, entry string }{
		{"client: a miss, no attack", ""},
		{"client: memcached's entry of 1 MB", strings.Repeat("a", 1_000_000)},
	} {
		s := &target{memcached: memcachetest.New()}
		_, b.Memcached, _ = strings.Cut(s.serveMemcached(t)[0], "=")
		if a.entry != "" {
			s.memcached.Put(appID, a.entry, 0, 0)
		}
		served(t, b.run(t, a.name))
	}
	for _, a := range maliciousServers {
		turned := &maliciousServer{more: a.more}
		turned.malicious.Store(true)
		b.Memcached = turned.listen(t, memcachetest.New())
		served(t, b.run(t, strings.Replace(a.name, "memcached: ", "client: as memcached, ", 1)))
		assert.Positive(t, turned.connected.Load(), "the client connected")
	}
}

func attackClientFromSidecar(t *testing.T) {
	elsewhere, visitors := trap(t)
	all := answers(elsewhere)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if id, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), "/"); all[id] != nil {
			all[id](conn)
		}
	}))
	t.Cleanup(server.Close)
	s := &target{memcached: memcachetest.New()}
	b := attackedApp{Sidecar: server.URL}
	_, b.Memcached, _ = strings.Cut(s.serveMemcached(t)[0], "=")
	for id := range all {
		b.Accounts = append(b.Accounts, id)
	}
	for i, w := range b.run(t, fmt.Sprintf("client: the %d malicious answers from its sidecar, after a miss", len(all))) {
		assert.Equal(t, w.Done, w.Failed, "%s gave a token", b.Accounts[i])
	}
	assert.Zero(t, visitors.Load(), "no redirect was followed")
}

// trap returns an address that nothing should connect to, and counts connections.
func trap(t *testing.T) (address string, visitors *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	visitors = new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			visitors.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String(), visitors
}
