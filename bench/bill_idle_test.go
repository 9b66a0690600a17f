//go:build bill

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache" //nolint:depguard // copies what a sidecar wrote
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

const (
	// billPrefix is before the keys of the bill's sidecars.
	billPrefix = "bill:"
	// idleSpan is how long idle programs are measured.
	idleSpan = 30 * time.Second
	// pollInterval is the mean time between two polls: 10 to 15 s.
	pollInterval = 12500 * time.Millisecond
)

// poller is a program that polls a memcached, and what its polls cost.
type poller struct {
	*program.Process
	memcached *program.Memcached
	accounts  int
	spent     float64 // processor time of idleSpan with the mean number of polls, in ns
}

// startLoop starts a loop: a program that makes the polls of one sidecar and nothing
// else, from a memcached with a copy of what the sidecar wrote. It waits for the first
// poll; the second comes before anything is measured.
func (f *fixture) startLoop(t *testing.T, s idleSidecar) *poller {
	t.Helper()
	m := f.startMemcached(t)
	copyEntries(t, s, m)
	keys, err := f.write(f.name("keys"), billPrefix+strings.Join(s.appIDs, "\n"+billPrefix))
	require.NoError(t, err)
	before, err := gets(t.Context(), m)
	require.NoError(t, err)
	p, err := program.Start(t.Context(), []string{"POLL_MEMCACHED=" + m.Address, "POLL_KEYS=" + keys}, f.program("poll"))
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	polled := func() bool {
		now, err := gets(t.Context(), m)
		return err == nil && now-before >= float64(2*len(s.appIDs))
	}
	require.NoError(t, p.Until(t.Context(), 10*time.Millisecond, polled))
	return &poller{Process: p, memcached: m, accounts: len(s.appIDs)}
}

// copyEntries copies entries and records to another memcached.
func copyEntries(t *testing.T, s idleSidecar, to *program.Memcached) {
	t.Helper()
	source, target := s.memcached.Client(), to.Client()
	defer func() { _, _ = source.Close(), target.Close() }()
	for _, appID := range s.appIDs {
		for _, key := range []string{billPrefix + appID, billPrefix + appID + ":record"} {
			item, err := source.Get(key)
			require.NoError(t, err, key)
			require.NoError(t, target.Set(&memcache.Item{Key: key, Value: item.Value}), key)
		}
	}
}

// gets returns how many keys a memcached was asked for.
func gets(ctx context.Context, m *program.Memcached) (float64, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.Address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(program.Timeout)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte("stats\r\n")); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if number, ok := strings.CutPrefix(lines.Text(), "STAT cmd_get "); ok {
			return strconv.ParseFloat(number, 64)
		}
	}
	return 0, fmt.Errorf("memcached's stats have no cmd_get: %w", lines.Err())
}

// measureIdle measures what polls cost without readers. The time between two polls
// is random, so 30 s have two or three: the processor time is divided by the polls
// that each memcached counted.
func measureIdle(t *testing.T, all []*poller) {
	t.Helper()
	read := func() (spent, asked samples) {
		for _, one := range all {
			ns, err := cpu(one.Process)
			require.NoError(t, err)
			n, err := gets(t.Context(), one.memcached)
			require.NoError(t, err)
			spent, asked = append(spent, ns), append(asked, n)
		}
		return spent, asked
	}
	spentBefore, askedBefore := read()
	require.NoError(t, program.Sleep(t.Context(), idleSpan))
	spent, asked := read()
	for i, one := range all {
		polls := (asked[i] - askedBefore[i]) / float64(2*one.accounts)
		require.Positive(t, polls, "polls in %s", idleSpan)
		one.spent = (spent[i] - spentBefore[i]) / polls * idleSpan.Seconds() / pollInterval.Seconds()
		t.Logf("%d accounts: %.2f ms of CPU in %s, %.1f polls", one.accounts, (spent[i]-spentBefore[i])/1e6, idleSpan, polls)
	}
}

// costs returns the median processor time of pollers with one account, and that of each
// further account of the last poller, which has many. In a mean, one that was disturbed
// counts: once 30 ms beside 3, 4 and 5.
func costs(all []*poller) (one, further float64) {
	last := len(all) - 1
	var spent samples
	for _, p := range all[:last] {
		spent = append(spent, p.spent)
	}
	one = spent.median()
	return one, (all[last].spent - one) / float64(all[last].accounts-1)
}
