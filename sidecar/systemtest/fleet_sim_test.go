package systemtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const (
	// wechatDelay is how long the fleets' WeChat takes to answer.
	wechatDelay = 100 * time.Millisecond
	// idleConns is how many idle connections a sidecar keeps.
	idleConns = 8
)

// simFleet is a fleet in virtual time: sidecars with the same accounts, and a memcached
// and a WeChat in the same process. TestFleet_ProcessesCostTheSame compares it with real
// processes.
type simFleet struct {
	t         *testing.T
	memcached *memcachetest.Server
	wechat    *wechattest.Server
	sidecars  []*simSidecar
	accounts  []keeper.Account
	began     time.Time
	polls     atomic.Int64 // multi-gets

	mu       sync.Mutex                 // guards what follows
	requests map[string][]time.Duration // to WeChat: since the start, by AppID
	refuses  int                        // the errcode that it answers with; 0: none
}

// simSidecar is one sidecar of it.
type simSidecar struct {
	group  *keeper.Group
	store  *memcache.Store
	cancel context.CancelFunc
	ended  chan struct{}
}

// simulateFleet starts sidecars with the same accounts at the same time, with an empty
// memcached, and runs script. life is that of a token.
func simulateFleet(t *testing.T, sidecars, accounts int, life time.Duration, script func(f *simFleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &simFleet{
			t: t, memcached: memcachetest.New(), wechat: wechattest.New(), began: time.Now(), requests: map[string][]time.Duration{},
		}
		f.wechat.SetExpiresIn(life)
		for i := range accounts {
			id := fleetAppID(i)
			f.wechat.AddAccount(id, testSecret)
			f.accounts = append(f.accounts, keeper.Account{AppID: id, Secret: func() (string, error) { return testSecret, nil }})
		}
		f.wechat.OnRequest(f.received)
		transport, stop := f.wechat.Pipe()
		for range sidecars {
			store, err := memcache.New(memcache.Config{Dial: f.memcached.Dial, MaxIdleConns: idleConns, Observe: f.observe})
			require.NoError(t, err)
			caller, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: transport})
			require.NoError(t, err)
			group := keeper.New(keeper.Config{Store: store, WeChat: caller, Name: "sidecar"})
			f.sidecars = append(f.sidecars, &simSidecar{group: group, store: store, ended: make(chan struct{})})
		}
		for _, s := range f.sidecars {
			s.start(t, f.accounts)
		}
		script(f)
		for _, s := range f.sidecars {
			s.cancel()
		}
		for _, s := range f.sidecars {
			<-s.ended
		}
		stop()
		assert.NoError(t, f.memcached.Close())
	})
}

// fleetAppID is as long as a real one.
func fleetAppID(i int) string { return fmt.Sprintf("wx%016x", 0x51dec0de00000000+i) }

func (s *simSidecar) start(t *testing.T, accounts []keeper.Account) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	require.NoError(t, s.group.SetAccounts(accounts))
	go func() {
		defer close(s.ended)
		s.group.Run(ctx)
		s.group.Close(ctx)
		_ = s.store.Close()
	}()
}

func (f *simFleet) observe(operation string, _ error) {
	if operation == "multiget" {
		f.polls.Add(1)
	}
}

// received notes a request to WeChat.
func (f *simFleet) received(r wechattest.Request) wechattest.Answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests[r.AppID] = append(f.requests[r.AppID], time.Since(f.began))
	return wechattest.Answer{Delay: wechatDelay, Errcode: f.refuses}
}

// refuse lets WeChat answer with an errcode from now on; 0 means success.
func (f *simFleet) refuse(errcode int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuses = errcode
}

// published waits until each account's token is in memcached and every sidecar knows it.
// It returns how long the fleet has been running.
func (f *simFleet) published() time.Duration {
	f.t.Helper()
	for _, s := range f.sidecars {
		for slices.ContainsFunc(s.group.States(), func(s keeper.State) bool { return !s.Published }) {
			require.Less(f.t, time.Since(f.began), time.Hour, "everything is published")
			time.Sleep(100 * time.Millisecond)
		}
	}
	return time.Since(f.began)
}

// cost is what memcached counted so far.
func (f *simFleet) cost() cost {
	f.t.Helper()
	conn, err := f.memcached.Dial(f.t.Context(), "tcp", "memcached:11211")
	require.NoError(f.t, err)
	c := readCost(f.t, conn)
	c.requests, c.polls = f.memcached.Count(""), int(f.polls.Load())
	return c
}

// during is what memcached counts in so much time.
func (f *simFleet) during(d time.Duration) cost {
	f.t.Helper()
	before := f.cost()
	time.Sleep(d)
	return f.cost().minus(before)
}

// requestsSince returns the requests to WeChat since a time after the start, in order.
func (f *simFleet) requestsSince(from time.Duration) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []time.Duration
	for _, calls := range f.requests {
		for _, at := range calls {
			if at >= from {
				all = append(all, at)
			}
		}
	}
	slices.Sort(all)
	return all
}

// most returns how many of the times lie within one stretch, at most.
func most(times []time.Duration, stretch time.Duration) int {
	worst, first := 0, 0
	for last, at := range times {
		for at-times[first] >= stretch {
			first++
		}
		worst = max(worst, last-first+1)
	}
	return worst
}

// perDay returns how often one account is renewed in a day, from the time between two
// renewals. It leaves out the first one of each account, which is early to spread
// accounts that started together. It returns 0 if none was renewed twice.
func (f *simFleet) perDay() float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sum time.Duration
	n := 0
	for _, calls := range f.requests {
		for i := 2; i < len(calls); i++ {
			sum += calls[i] - calls[i-1]
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return float64(24*time.Hour) * float64(n) / float64(sum)
}

// cost is what sidecars cost memcached, by its own stats.
type cost struct {
	requests int // commands; the real memcached does not count them
	polls    int // multi-gets among them; the same
	keys     int // read: a multi-get has up to 200
	writes   int // set, add, cas, incr, delete
	in, out  int // bytes, as memcached sees them
	dials    int // connections opened
	open     int // connections open now, without the one of readCost: no sum
	answer   int // bytes of the answer, which is not in out yet
}

const statsCommand = "stats\r\n"

// readCost asks for stats over this connection, and closes it.
func readCost(t *testing.T, conn net.Conn) cost {
	t.Helper()
	defer func() { _ = conn.Close() }()
	_, err := io.WriteString(conn, statsCommand)
	require.NoError(t, err)
	stats, answer := map[string]int{}, len("END\r\n")
	lines := bufio.NewScanner(conn)
	for lines.Scan() && lines.Text() != "END" {
		answer += len(lines.Text()) + len("\r\n")
		fields := strings.Fields(lines.Text())
		require.Len(t, fields, 3)
		stats[fields[1]], _ = strconv.Atoi(fields[2]) // a version is not a number, and not used
	}
	require.NoError(t, lines.Err())
	require.Contains(t, stats, "cmd_get")
	return cost{
		keys:   stats["cmd_get"],
		writes: stats["cmd_set"] + stats["incr_hits"] + stats["incr_misses"] + stats["delete_hits"] + stats["delete_misses"],
		in:     stats["bytes_read"], out: stats["bytes_written"],
		dials: stats["total_connections"], open: stats["curr_connections"] - 1, answer: answer,
	}
}

// minus is what came since before, without the cost of readCost itself.
func (c cost) minus(before cost) cost {
	return cost{
		requests: c.requests - before.requests - 1, polls: c.polls - before.polls, keys: c.keys - before.keys,
		writes: c.writes - before.writes, in: c.in - before.in - len(statsCommand), out: c.out - before.out - before.answer,
		dials: c.dials - before.dials - 1, open: c.open,
	}
}
