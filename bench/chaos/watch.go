package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// watch looks at memcached itself, past all proxies: when was there no entry, and
// did one go back to an older token?
type watch struct {
	memcached *memcached
	wechat    *weChat
	judge     *judge
	journal   *journal
	accounts  []string

	mu    sync.Mutex        // guards what follows
	now   map[string]string // the entries
	gaps  []gap
	open  map[string]time.Duration // since when one is missing
	since map[string]time.Duration // since when one is older than one before
	best  map[string]int           // the number of the newest token seen, by account and API
	back  time.Duration            // the longest of these
}

// gap is a time without an entry.
type gap struct {
	account  string
	from, to time.Duration
}

const watchEvery = 25 * time.Millisecond

func newWatch(w *world) *watch {
	return &watch{
		memcached: w.memcached, wechat: w.wechat, judge: w.judge, journal: w.journal, accounts: w.accounts,
		now: map[string]string{}, open: map[string]time.Duration{}, since: map[string]time.Duration{}, best: map[string]int{},
	}
}

func (w *watch) run(ctx context.Context) {
	var conn net.Conn
	var in *bufio.Reader
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	for {
		entries := map[string]string{}
		err := error(nil)
		if conn == nil {
			if conn, err = w.memcached.dial(ctx); err == nil {
				in = bufio.NewReader(conn)
			}
		}
		if err == nil {
			if entries, err = get(conn, in, w.watched()); err != nil {
				_ = conn.Close()
				conn, entries = nil, nil
			}
		}
		w.see(entries)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// get asks for many keys.
func get(conn net.Conn, in *bufio.Reader, keys []string) (map[string]string, error) {
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "get %s\r\n", strings.Join(keys, " ")); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for {
		head, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		fields := strings.Fields(head)
		if len(fields) != 4 {
			return found, nil // END
		}
		value, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		found[fields[1]] = strings.TrimRight(value, "\r\n")
	}
}

func (w *watch) see(entries map[string]string) {
	at := w.journal.now()
	issues := map[string]wechattest.Issue{}
	for _, i := range w.wechat.Issued() {
		issues[i.Token] = i
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, account := range w.accounts {
		token := entries[account]
		if token != "" && token != w.now[account] {
			w.judge.holds(token)
		}
		w.now[account] = token
		since, missing := w.open[account]
		switch {
		case token == "" && !missing:
			w.open[account] = at
		case token != "" && missing:
			delete(w.open, account)
			w.gaps = append(w.gaps, gap{account, since, at})
		}
		if token == "" {
			continue
		}
		// Only among those of one API is there an older one: the two do not end each other's.
		w.order(account, issues[token].API, issues[token].Seq, at)
	}
}

// order sees whether an entry is older than one before. The caller holds mu.
func (w *watch) order(account, api string, number int, at time.Duration) {
	if of := account + " " + api; number >= w.best[of] {
		w.best[of] = number
		delete(w.since, account)
		return
	}
	if _, already := w.since[account]; !already {
		w.since[account] = at
	}
	w.back = max(w.back, at-w.since[account])
}

// entry is what lies in memcached for an account.
func (w *watch) entry(account string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now[account]
}

// longestGap is the longest time without an entry within a span.
func (w *watch) longestGap(s span) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	gaps := slices.Clone(w.gaps)
	for account, since := range w.open {
		gaps = append(gaps, gap{account, since, s.to})
	}
	longest := time.Duration(0)
	for _, g := range gaps {
		if from := max(g.from, s.from); s.has(g.account, from) {
			longest = max(longest, min(g.to, s.to)-from)
		}
	}
	return longest
}

// backwards is the longest time that an entry was older than one before.
func (w *watch) backwards() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.back
}

// add watches another account too.
func (w *watch) add(account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.accounts = append(slices.Clone(w.accounts), account)
}

// watched is the accounts that are watched.
func (w *watch) watched() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.accounts
}
