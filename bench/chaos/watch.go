package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/bench/program"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// watch reads the entries from memcached itself, past all proxies. It notes when an
// entry is missing, and when one goes back to an older token.
type watch struct {
	harness *harness

	accounts []string

	mu      sync.Mutex // guards the fields below
	entries map[string]string
	gaps    []gap
	missing map[string]time.Duration // since when an entry is missing
	older   map[string]time.Duration // since when an entry is older than one before
	newest  map[string]int           // the number of the newest token seen, by account and API
	longest time.Duration            // that an entry was older than one before
}

// gap is a time without an entry.
type gap struct {
	account  string
	from, to time.Duration
}

const watchEvery = 25 * time.Millisecond

func newWatch(h *harness) *watch {
	return &watch{
		harness: h, accounts: append(slices.Clone(h.accounts), quotaAccount), entries: map[string]string{},
		missing: map[string]time.Duration{}, older: map[string]time.Duration{}, newest: map[string]int{},
	}
}

func (w *watch) run(ctx context.Context) {
	for program.Sleep(ctx, watchEvery) == nil {
		entries := map[string]string{}
		items, err := w.harness.entries.GetMulti(w.accounts) // without memcached, all are missing
		for key, item := range items {
			if err == nil {
				entries[key] = string(item.Value)
			}
		}
		w.note(entries)
	}
}

func (w *watch) note(entries map[string]string) {
	at := w.harness.now()
	issues := map[string]wechattest.Issue{}
	for _, i := range w.harness.wechat.Issued() {
		issues[i.Token] = i
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, account := range w.accounts {
		token, last := entries[account], w.entries[account]
		if w.entries[account] = token; token == "" {
			if last != "" {
				w.missing[account] = at
			}
			continue
		}
		if since, missing := w.missing[account]; missing {
			delete(w.missing, account)
			w.gaps = append(w.gaps, gap{account, since, at})
		}
		w.harness.judge.hold(token)
		// Tokens of two APIs do not invalidate each other: neither is the older one.
		w.order(account, issues[token].API, issues[token].Seq, at)
	}
}

// order notes whether an entry is older than one before. The caller holds mu.
func (w *watch) order(account, api string, number int, at time.Duration) {
	if of := account + " " + api; number >= w.newest[of] {
		w.newest[of] = number
		delete(w.older, account)
		return
	}
	if _, already := w.older[account]; !already {
		w.older[account] = at
	}
	w.longest = max(w.longest, at-w.older[account])
}

// entry returns an account's entry.
func (w *watch) entry(account string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entries[account]
}

// longestGap returns the longest time without an entry within a span.
func (w *watch) longestGap(s span) (longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gaps := slices.Clone(w.gaps)
	for account, since := range w.missing {
		gaps = append(gaps, gap{account, since, s.to})
	}
	for _, g := range gaps {
		if from := max(g.from, s.from); s.has(g.account, from) {
			longest = max(longest, min(g.to, s.to)-from)
		}
	}
	return longest
}

// longestOlder returns the longest time that an entry was older than one before.
func (w *watch) longestOlder() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.longest
}
