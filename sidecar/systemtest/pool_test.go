package systemtest

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// Of three real memcacheds one is lost, one is restarted empty, and one comes back with another address. Only the entries
// of its own accounts are gone, until the sidecars have filled it. All readers, in Go and PHP, read valid tokens without
// a pause, and WeChat gets no request.
func TestPool_OneMemcachedFails(t *testing.T) {
	t.Parallel()
	for hash, extension := range map[ring.Hash]string{ring.Ketama: "memcached", ring.PHPMemcacheConsistent: "memcache"} {
		t.Run(string(hash), func(t *testing.T) {
			t.Parallel()
			p := newPool(t, hash, extension)
			lost, restarted, moved := p.memcacheds[0], p.memcacheds[1], p.memcacheds[2]
			p.survives(t, "lost for a while", 0, func() {
				lost.Kill()
				p.without(t, 0)
				lost.Restart(t)
			})
			p.survives(t, "restarted empty", 1, func() { restarted.Restart(t) })
			p.survives(t, "recreated with another address", 2, func() {
				moved.Kill()
				p.without(t, 2)
				p.memcacheds[2] = realmemcached.Start(t, "")
				p.moving.leadTo(p.memcacheds[2].Address)
				require.NotEqual(t, moved.Address, p.memcacheds[2].Address)
			})
		})
	}
}

// pool is three memcacheds, two sidecars and their readers.
type pool struct {
	*programtest.Backends
	names      []string // as in MEMCACHED_SERVERS
	memcacheds []*realmemcached.Server
	moving     *name            // of the third memcached
	accounts   map[string]int   // the memcached of each
	php        io.WriteCloser   // a line makes PHP read
	phpOut     *bufio.Scanner   // what it read
	reads      map[string]*seen // of the Go client, by account
}

// perServer is how many accounts each memcached has.
const perServer = 3

func newPool(t *testing.T, hash ring.Hash, extension string) *pool {
	t.Helper()
	p := &pool{Backends: programtest.NewBackends(t), accounts: map[string]int{}, reads: map[string]*seen{}}
	for range 3 {
		p.memcacheds = append(p.memcacheds, realmemcached.Start(t, ""))
	}
	p.moving = newName(t, p.memcacheds[2].Address)
	p.names = []string{p.memcacheds[0].Address, p.memcacheds[1].Address, p.moving.address}
	folder := p.addAccounts(t, hash)

	servers := []string{
		"MEMCACHED_SERVERS=" + strings.Join(p.names, ","), "MEMCACHED_HASH=" + string(hash), "MEMCACHED_TIMEOUT=2s", "WECHAT_TIMEOUT=10s",
	}
	both := slices.Concat(p.Environ[2:], servers, []string{"WECHAT_ACCOUNTS_DIR=" + folder}) // without WECHAT_APPID and its AppSecret
	second := programtest.Address(t)
	spawn(t, both)
	spawn(t, append(both, "SIDECAR_LISTEN=unix://"+filepath.Join(programtest.ShortDir(t), "api.sock"), "SIDECAR_OPS_LISTEN="+second))
	ready(t, p.Ops)
	ready(t, second) // a sidecar without the token would fetch another if it found memcached empty
	eventually(t, func() bool { return len(p.missing(t)) == 0 }, "every entry")

	php, err := exec.LookPath("php")
	require.NoError(t, err, "php is not installed: run .ci/setup")
	p.php, p.phpOut, _ = converse(t, exec.Command(php, "-d", "error_reporting=24575", "-d", "display_errors=stderr", filepath.Join("testdata", "poolreader.php"),
		extension, strings.Join(p.names, ","), "unix://"+p.Socket, strings.Join(slices.Sorted(maps.Keys(p.accounts)), ",")))
	p.read(t, hash)
	return p
}

// addAccounts chooses AppIDs until each memcached has some, and returns the folder of their AppSecrets.
func (p *pool) addAccounts(t *testing.T, hash ring.Hash) (folder string) {
	t.Helper()
	folder = filepath.Join(programtest.ShortDir(t), "accounts")
	server, on := ring.New(hash, p.names), [3]int{}
	for i := 0; len(p.accounts) < 3*perServer; i++ {
		account := fmt.Sprintf("wx%016x", i)
		if at := server(account); on[at] < perServer {
			on[at]++
			p.accounts[account] = at
			p.WeChat.AddAccount(account, testSecret)
			programtest.WriteFile(t, filepath.Join(folder, account), testSecret)
		}
	}
	return folder
}

// survives lets the memcached of that index fail and come back.
func (p *pool) survives(t *testing.T, what string, failing int, fail func()) {
	t.Helper()
	before, requests := p.entries(t), p.WeChat.Requests("", "")
	p.phpReads(t, what+": before", -1)
	p.forget()
	start := time.Now()
	fail()
	require.Eventually(t, func() bool { return len(p.missing(t)) == 0 }, 20*time.Second, often, "%s: the sidecars fill it", what)
	took := time.Since(start)
	p.readOn(t)

	after, others, fromSidecar := p.entries(t), 0, 0
	for account, at := range p.accounts {
		reads := p.reads[account].copy()
		assert.Zero(t, reads.failed, "%s: failed reads of %s: %v", what, account, reads.err)
		assert.Zero(t, reads.invalid, "%s: invalid tokens of %s", what, account)
		if at == failing {
			fromSidecar += reads.fromSidecar
			continue
		}
		others += reads.total
		assert.Zero(t, reads.fromSidecar, "%s: reads of %s, which is on another memcached, from a sidecar", what, account)
		assert.Equal(t, before[account], after[account], "%s: the entry of %s is on another memcached, and was written", what, account)
	}
	assert.Positive(t, fromSidecar, "%s: its own accounts missed their entries", what)
	p.phpReads(t, what+": after", -1)
	assert.Equal(t, requests, p.WeChat.Requests("", ""), "%s: requests to WeChat", what)
	t.Logf("%s: filled %s after the failure; %d reads of its accounts from a sidecar; %d reads of the other accounts, none of them", what, took.Round(time.Millisecond), fromSidecar, others)
	for since := time.Now(); p.readOn(t).fromSidecar > 0; { // after a failure the client pauses for up to 10 s
		require.Less(t, time.Since(since), 2*patience, "%s: all read memcached again", what)
	}
}

// without lets all readers read while the memcached of that index is not there.
func (p *pool) without(t *testing.T, failing int) {
	t.Helper()
	p.readOn(t)
	p.phpReads(t, "meanwhile", failing)
}

// entries returns what the memcacheds answer, with the CAS ids, which differ after a write or a restart.
func (p *pool) entries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for account, at := range p.accounts {
		all[account] = p.memcacheds[at].Ask(t, "gets "+account)
	}
	return all
}

// missing returns the accounts without an entry.
func (p *pool) missing(t *testing.T) (all []string) {
	t.Helper()
	for account, answer := range p.entries(t) {
		if answer == "END" {
			all = append(all, account)
		}
	}
	return all
}

// name is an address that stays while what it leads to moves, as the DNS name of a pod does.
type name struct {
	address string

	mu     sync.Mutex // guards target
	target string
}

// newName returns a name of that memcached. It ends with the test.
func newName(t *testing.T, target string) *name {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &name{address: listener.Addr().String(), target: target}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { n.carry(conn) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		all.Wait() // the programs have ended, and their connections with them
	})
	return n
}

func (n *name) leadTo(target string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.target = target
}

// carry carries a connection to the memcached and back, until one side closes it.
func (n *name) carry(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	n.mu.Lock()
	target := n.target
	n.mu.Unlock()
	memcached, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = memcached.Close() }()
	go func() {
		_, _ = io.Copy(memcached, conn) // ends when either is closed
		_ = memcached.Close()
	}()
	_, _ = io.Copy(conn, memcached)
}
