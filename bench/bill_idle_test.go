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
)

const (
	// billPrefix is before the keys of the bill's sidecars.
	billPrefix = "bill:"
	// idleSpan is how long programs are watched that nobody asks for anything.
	idleSpan = 30 * time.Second
	// pollEvery is the mean time between two polls: 10 to 15 s.
	pollEvery = 12500 * time.Millisecond
)

// loop is a program that makes the polls of one sidecar and does nothing else. It has
// a memcached of its own with a copy of what the sidecar wrote.
type loop struct {
	*process
	memcached *memcached
}

// startLoops starts a loop for each sidecar, and waits for its first poll. The second
// comes before anything is measured.
func (h *house) startLoops(ctx context.Context, r *rig) error {
	for _, l := range h.lodgers {
		m, err := startMemcached(ctx, "tcp", r.dir)
		if err != nil {
			return err
		}
		one := &loop{memcached: m}
		h.loops = append(h.loops, one)
		if err := l.copyTo(m); err != nil {
			return err
		}
		keys, err := r.write(r.name("keys"), billPrefix+strings.Join(l.appIDs, "\n"+billPrefix))
		if err != nil {
			return err
		}
		before, err := m.gets(ctx)
		if err != nil {
			return err
		}
		one.process, err = start(ctx, []string{"POLL_MEMCACHED=" + m.address, "POLL_KEYS=" + keys}, r.programs.poll)
		if err != nil {
			return err
		}
		polled := func() bool {
			now, err := m.gets(ctx)
			return err == nil && now-before >= float64(2*len(l.appIDs))
		}
		if err := one.until(ctx, 10*time.Millisecond, polled); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) close() {
	if l.process != nil {
		l.kill()
	}
	l.memcached.process.kill()
}

// copyTo copies entries and records to another memcached.
func (l lodger) copyTo(to *memcached) error {
	source, target := l.memcached.bare(), to.bare()
	defer func() { _, _ = source.Close(), target.Close() }()
	for _, appID := range l.appIDs {
		for _, key := range []string{billPrefix + appID, billPrefix + appID + ":record"} {
			item, err := source.Get(key)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if err := target.Set(&memcache.Item{Key: key, Value: item.Value}); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}

// gets is how many keys this memcached was asked for.
func (m *memcached) gets(ctx context.Context) (float64, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(getPatience)); err != nil {
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
	return 0, fmt.Errorf("memcached has no cmd_get: %w", lines.Err())
}

// idling is a program that polls, and what its polls cost.
type idling struct {
	*process
	memcached *memcached
	accounts  int
	spent     float64 // processor time in 30 idle seconds with as many polls as there are in the mean, in nanoseconds
	polls     float64 // that were made
}

// idle notes what the polls of each cost while nobody asks. The time between two polls
// is random, so 30 s have two or three: the processor time is divided by the polls that
// each one's memcached counted.
func (h *house) idle(t *testing.T) (sidecars, loops []*idling) {
	t.Helper()
	for i, l := range h.lodgers {
		sidecars = append(sidecars, &idling{process: l.process, memcached: l.memcached, accounts: len(l.appIDs)})
		loops = append(loops, &idling{process: h.loops[i].process, memcached: h.loops[i].memcached, accounts: len(l.appIDs)})
	}
	all := append(append([]*idling(nil), sidecars...), loops...)
	read := func() (spent, gets samples) {
		for _, one := range all {
			ns, err := one.cpu()
			require.NoError(t, err)
			n, err := one.memcached.gets(t.Context())
			require.NoError(t, err)
			spent, gets = append(spent, ns), append(gets, n)
		}
		return spent, gets
	}
	spentBefore, getsBefore := read()
	require.NoError(t, pause(t.Context(), idleSpan))
	spent, gets := read()
	for i, one := range all {
		one.polls = (gets[i] - getsBefore[i]) / float64(2*one.accounts)
		require.Positive(t, one.polls, "polls in %s", idleSpan)
		one.spent = (spent[i] - spentBefore[i]) / one.polls * idleSpan.Seconds() / pollEvery.Seconds()
		t.Logf("%d accounts: %.2f ms of CPU in %s, %.1f polls", one.accounts, (spent[i]-spentBefore[i])/1e6, idleSpan, one.polls)
	}
	return sidecars, loops
}

// spentByOne is the mean processor time of those with one account.
func spentByOne(all []*idling) float64 {
	sum := 0.0
	for _, one := range all[:oneAccounts] {
		sum += one.spent
	}
	return sum / oneAccounts
}
