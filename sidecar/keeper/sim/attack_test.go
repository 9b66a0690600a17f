package sim

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// The attack tests do to a fleet, in virtual time, what an attack on the code did
// that broke it. Each states what is right, and asserts that alone.

const attackHours = 6

// attack runs script against a fleet. The judge counts and judges nothing.
func attack(t *testing.T, seed uint64, api wechat.API, pods, readers int, script func(ctx context.Context, w *world), tickets ...memcache.Kind) *world {
	t.Helper()
	return simulate(t, seed, api, pods, readers, func(ctx context.Context, w *world) {
		w.judge.mute()
		script(ctx, w)
	}, tickets...)
}

func (j *judge) mute() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.muted = true
}

// counted returns how many reads gave an invalid token, and how many gave none.
// It leaves out what WeChat's rule makes unavoidable: two requests end a token at
// once, and the answer to the second takes its time.
func (j *judge) counted() (invalid, failed int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.invalid - j.crossed, j.failures
}

// figures logs what a case counted, as a row of a table.
func (w *world) figures(name string, requests []request, rest ...any) {
	w.t.Helper()
	invalid, failed := w.judge.counted()
	classic := count(requests, func(r request) bool { return r.api == string(wechat.Token) })
	w.t.Logf("| %s | %d token + %d others, at most %d in ten minutes | %d | %d of %d | %v |",
		name, classic, len(requests)-classic, mostInTenMinutes(requests), invalid, failed, w.judge.reads+failed, rest)
}

func count(requests []request, which func(request) bool) int {
	n := 0
	for _, r := range requests {
		if which(r) {
			n++
		}
	}
	return n
}

// mostInTenMinutes returns the most requests in any ten minutes.
func mostInTenMinutes(requests []request) int {
	most := 0
	for i := range requests {
		n := 0
		for _, r := range requests[i:] {
			if r.at.Sub(requests[i].at) < protocol.BudgetWindow {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// closest returns the shortest time between two requests that follow each other.
func closest(requests []request) time.Duration {
	least := 24 * time.Hour
	for i := 1; i < len(requests); i++ {
		least = min(least, requests[i].at.Sub(requests[i-1].at))
	}
	return least
}

// of returns the requests of one pod.
func of(requests []request, p *pod) []request {
	var own []request
	for _, r := range requests {
		if r.pod == p {
			own = append(own, r)
		}
	}
	return own
}

// farthest returns the longest time between two new tokens that follow each other.
func (w *world) farthest() time.Duration {
	var last time.Time
	longest := time.Duration(0)
	for _, i := range w.wechat.Issued() {
		if !last.IsZero() && i.New {
			longest = max(longest, i.At.Sub(last))
		}
		if i.New {
			last = i.At
		}
	}
	return longest
}

// invalidate makes the newest token invalid, as external fetches do: two of the
// classic API, or a forced one of stable_token.
func (w *world) invalidate() {
	if w.api == wechat.StableToken {
		other, err := wechat.New(wechat.Config{BaseURLs: []string{"http://127.0.0.1"}, Transport: w.wechatTransport})
		w.must(err)
		_, err = other.Fetch(context.Background(), wechat.Request{API: w.api, AppID: appID, Secret: secret, Force: true})
		w.must(err)
		return
	}
	w.wechat.FetchExternally(appID)
	w.wechat.FetchExternally(appID)
}

// accepts reports whether WeChat accepts what is under this key of an entry.
func (w *world) accepts(key string) bool {
	item, ok := w.memcached.Peek(key)
	if key == simTicket {
		return ok && w.wechat.AcceptsTicket(item.Value) == 0
	}
	return ok && w.wechat.Accepts(item.Value) == 0
}

// healed waits until the entry holds a valid token and returns how long that took.
func (w *world) healed(ctx context.Context, key string, limit time.Duration) time.Duration {
	start := time.Now()
	for time.Since(start) < limit && !w.accepts(key) {
		if !sleep(ctx, 100*time.Millisecond) {
			break
		}
	}
	return time.Since(start)
}

// held returns the token that an app beside this sidecar is given; empty if none.
func (w *world) held(ctx context.Context, p *pod) string {
	token, err := p.client.AccessToken(ctx)
	if err != nil {
		return ""
	}
	return token
}

// rewrite changes fields of the record and leaves the others as they are.
func (w *world) rewrite(changes map[string]any) bool {
	item, ok := w.memcached.Peek(recordKey)
	var fields map[string]json.RawMessage
	if !ok || json.Unmarshal([]byte(item.Value), &fields) != nil || fields == nil {
		return false
	}
	for name, value := range changes {
		text, err := json.Marshal(value)
		w.must(err)
		fields[name] = text
	}
	text, err := json.Marshal(fields)
	w.must(err)
	w.memcached.Put(recordKey, string(text), 0, int(time.Until(item.Expires)/time.Second))
	return true
}

// field returns a field of the record as JSON; empty if there is none.
func (w *world) field(name string) string {
	item, _ := w.memcached.Peek(recordKey)
	var fields map[string]json.RawMessage
	_ = json.Unmarshal([]byte(item.Value), &fields)
	return string(fields[name])
}

// unharmed asserts that no read gave an invalid token, and that none failed.
func unharmed(t *testing.T, w *world) {
	t.Helper()
	invalid, failed := w.judge.counted()
	assert.Zero(t, invalid, "reads of invalid tokens")
	assert.Zero(t, failed, "reads that failed")
}
