package sim

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

var flagHands = flag.Int("sim.hands", 4, "seeds of TestAttack_RandomHand")

// handWords is in each text that the hand writes for people.
const handWords = "HAND WROTE THIS: ADD 203.0.113.99 TO THE WHITELIST"

// Somebody deletes all marks and the lease every second, while apps report each
// token. Each process still keeps its own budget.
func TestAttack_MarksDeleted(t *testing.T) {
	t.Parallel()
	for _, api := range []wechat.API{wechat.Token, wechat.StableToken} {
		t.Run(string(api), func(t *testing.T) {
			t.Parallel()
			w := attack(t, 501, api, 1, 0, func(ctx context.Context, w *world) {
				sleep(ctx, time.Minute)
				for end := time.Now().Add(long(40 * time.Minute)); time.Now().Before(end); {
					for _, key := range w.memcached.Keys() {
						if key != appID && key != recordKey {
							w.memcached.Evict(key)
						}
					}
					token := w.held(ctx, w.pods[0])
					go func() { _, _ = w.pods[0].client.Refresh(ctx, token) }()
					sleep(ctx, time.Second)
				}
			})
			requests := w.requestsSince(w.start)
			assert.LessOrEqual(t, mostInTenMinutes(requests), protocol.Budget+1, "in ten minutes, a planned one included")
			assert.Greater(t, len(requests), protocol.Budget, "reports still lead to renewals")
			w.t = t
			w.figures("marks deleted, "+string(api), requests)
		})
	}
}

// A mark or a lease that somebody wrote without an exptime stops renewals no longer than
// its own could.
func TestAttack_MarksForEver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys  []string
		bound time.Duration
	}{
		"report_throttle": {[]string{":report_throttle"}, 70 * time.Second}, // the client waits twice for Retry-After
		"lease":           {[]string{":lease"}, 40 * time.Second},
		"planned":         {[]string{":planned"}, 20 * time.Second},
		"budget": {[]string{
			":budget:0", ":budget:1", ":budget:2", ":budget:3", ":budget:4", ":budget:5", ":budget:6", ":budget:7", ":budget:8", ":budget:9",
		}, protocol.BudgetWindow + 2*protocol.PersonWait + 20*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			took := time.Duration(0)
			w := attack(t, 502, wechat.Token, 3, 0, func(ctx context.Context, w *world) {
				sleep(ctx, 10*time.Minute)
				for _, key := range c.keys {
					w.memcached.Put(appID+key, memcache.NewID(), 0, 0)
				}
				took = w.reportUntilHealed(ctx, time.Hour)
			})
			assert.LessOrEqual(t, took, c.bound)
			w.t = t
			w.figures(name+" for ever", w.requestsSince(w.start), "healed after", took)
		})
	}
}

// reportUntilHealed makes the token invalid. Apps then report it until they get a valid
// one. It returns how long that took.
func (w *world) reportUntilHealed(ctx context.Context, limit time.Duration) time.Duration {
	w.invalidate()
	start := time.Now()
	for time.Since(start) < limit && !w.accepts(appID) {
		for _, p := range w.pods {
			if token := w.held(ctx, p); token != "" {
				_, _ = p.client.Refresh(ctx, token)
			}
		}
		if !sleep(ctx, time.Second) {
			break
		}
	}
	return time.Since(start)
}

// A random hand writes, deletes and forges keys for ten minutes. All processes keep their
// budgets. After the hand stops, renewal goes on within two minutes, or at the end of
// the longest time that what it left can mean. No text of the hand reaches a person.
func TestAttack_RandomHand(t *testing.T) {
	t.Parallel()
	const pods = 3
	for seed := range many(*flagHands) {
		t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) {
			t.Parallel()
			took, bound := time.Duration(0), time.Duration(0)
			w := attack(t, uint64(600+seed), wechat.Token, pods, 6, func(ctx context.Context, w *world) {
				sleep(ctx, time.Minute)
				for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); {
					w.handWrites()
					sleep(ctx, w.seconds(0, 5))
					w.speaksNoHand(ctx)
				}
				bound = 2*time.Minute + w.handLeft()
				took = w.reportUntilHealed(ctx, 2*time.Hour)
			})
			requests := w.requestsSince(w.start)
			assert.LessOrEqual(t, took, bound, "until a renewal")
			for _, p := range w.pods {
				assert.LessOrEqual(t, mostInTenMinutes(of(requests, p)), protocol.Budget+1, p.name)
			}
			assert.NotContains(t, w.logs.String(), handWords)
			w.t = t
			w.figures("a random hand", requests, "healed after", took, "of", bound)
		})
	}
}

// handWrites does one thing to one key.
func (w *world) handWrites() {
	keys := []string{appID, recordKey, leaseKey, plannedKey, appID + ":report_throttle", appID + ":failures", budgetKey + ":0", budgetKey + ":9"}
	key := pick(w, keys)
	exptime := pick(w, []int{0, 0, 1, 60, 3600})
	switch w.between(0, 4) {
	case 0:
		w.memcached.Evict(key)
	case 1: // anything
		values := []string{"", "0", "1", "null", "99999999999999999999", handWords, `{"token":"` + handWords + `"}`, strings.Repeat("x", 5000)}
		w.memcached.Put(key, pick(w, values), 0, exptime)
	case 2: // the value of another key
		all := w.memcached.Keys()
		if len(all) > 0 {
			item, _ := w.memcached.Peek(pick(w, all))
			w.memcached.Put(key, item.Value, 0, exptime)
		}
	case 3: // a cooldown
		classes := []protocol.Class{protocol.Transient, protocol.Person, protocol.Minute, protocol.Day, protocol.Timed, protocol.OverBudget, protocol.Rebuilding, "x"}
		codes := []int{-1, 0, 40001, 40164, 45009, 45011, 89506, 89507, 1 << 40}
		value, err := json.Marshal(map[string]any{
			"cooldown": pick(w, classes), "errcode": pick(w, codes), "errmsg": handWords, "secret": "1f3870be",
			"until": time.Now().Add(time.Duration(w.between(0, 1_000_000)) * time.Second).Unix(),
		})
		w.must(err)
		w.memcached.Put(leaseKey, string(value), 0, exptime)
	case 4: // the record, with other fields
		now := time.Now()
		changes := []map[string]any{
			{"doubt": now.Add(time.Hour).Unix()},
			{"number": now.Add(47 * time.Hour).UnixMilli()},
			{"number": 1},
			{"issued": now.Add(47 * time.Hour).Unix(), "expires": now.Add(49 * time.Hour).Unix()},
			{"expires": now.Unix()},
			{"by": handWords},
			{"token": "forged-by-a-random-hand-0001", "past": []string{}},
			{"v": 7},
			{"claim": "x", "doubt": now.Unix()},
			{"today": map[string]any{"date": 20261130, "requests": 7777777, "renewals": 7777777}},
			{"past": []string{"00000000"}},
		}
		w.rewrite(pick(w, changes))
	}
}

// pick returns one of these.
func pick[T any](w *world, from []T) T { return from[w.between(0, len(from)-1)] }

// handLeft returns the longest time that the lease and the marks in memcached can mean.
func (w *world) handLeft() time.Duration {
	left := time.Duration(0)
	if item, ok := w.memcached.Peek(leaseKey); ok {
		var c memcache.Cooldown
		if json.Unmarshal([]byte(item.Value), &c) == nil && c.Class != "" {
			left = protocol.CooldownMost(protocol.Class(c.Class), wechat.Wait(c.ErrCode))
		}
	}
	if marks := w.memcached.Keys(); strings.Count(strings.Join(marks, " "), ":budget:") == protocol.Budget {
		left += protocol.BudgetWindow
	}
	return left
}

// speaksNoHand asserts that no text of the hand is in a state or an answer.
func (w *world) speaksNoHand(ctx context.Context) {
	for _, p := range w.pods {
		states, err := json.Marshal(p.process.group.States())
		w.must(err)
		assert.NotContains(w.t, string(states), handWords)
		if _, err := p.client.AccessToken(ctx); err != nil {
			assert.NotContains(w.t, err.Error(), handWords)
		}
	}
}
