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

// attackedApp is an app with the Go client, a process of its own, and what it meets.
type attackedApp struct {
	Memcached, Sidecar string
	Accounts           []string // each is asked for all the time
	Life               time.Duration
}

const (
	// appVariable is the variable that makes this program such an app.
	appVariable = "WXSIDECAR_ATTACKED"
	// maxCall is longer than a call may take: the client gives memcached some time-outs
	// and the sidecar 13 s.
	maxCall = 15 * time.Second
)

func init() {
	var b attackedApp
	if json.Unmarshal([]byte(os.Getenv(appVariable)), &b) != nil {
		return
	}
	log.SetOutput(io.Discard) // net/http's, of answers that nobody asked for
	all := make([]observed, len(b.Accounts))
	ctx, end := context.WithTimeout(context.Background(), b.Life)
	var apps sync.WaitGroup
	for i, id := range b.Accounts {
		apps.Go(func() {
			every(ctx, 20*time.Millisecond, func() {
				begin := time.Now()
				err := b.ask(id) // to its end, however long that takes
				all[i].note(time.Since(begin), err)
			})
		})
	}
	apps.Wait()
	end()
	_ = json.NewEncoder(os.Stdout).Encode(all)
	os.Exit(0)
}

// ask asks with a client of its own: one that is kept passes over a memcached that
// failed.
func (b attackedApp) ask(id string) error {
	c, err := client.New(client.Config{AppID: id, Servers: []string{b.Memcached}, Sidecar: b.Sidecar})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, err = c.AccessToken(context.Background())
	return err
}

// run lets the app live and adds a row of what seen it.
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

// clientRows are the second table of a whole run.
var clientRows []string

// attackClient is an app with the Go client: first in peace, then with all that
// attacks a sidecar from memcached and from WeChat in the place of its memcached and
// its sidecar.
func attackClient(t *testing.T) {
	t.Parallel()
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
		assert.Positive(t, turned.met.Load(), "the client met it")
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

// trap is an address at which nobody has any business, and who came.
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
