package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// answered is an answer of the upstream to a question that was sent so long after origin.
func answered(token string, number int64, after, life, promise time.Duration) Answer {
	return Answer{Token: token, Number: number, Life: life, Promise: promise, Sent: at(after)}
}

// downstream holds the token a, which the upstream gave at origin, under its number 100.
func downstream(t *testing.T) *Held {
	t.Helper()
	h := &Held{Upstream: true}
	r := h.FromUpstream(answered("a", 100, 0, 7000*time.Second, 3500*time.Second), "pod", at(0))
	require.True(t, h.Remember(r, at(0)))
	return h
}

// What an answer changes. Only the upstream's numbers are compared with each other.
func TestFromUpstream_WritesNews(t *testing.T) {
	reported := func(h *Held) { h.Reported = memcache.Fingerprint(h.Record.Token) }
	lagging := func(h *Held) {
		r := h.Record.Clone()
		r.Lagging, r.Number = origin.Unix(), r.Number+2
		h.Adopt(r, at(20*time.Second))
	}
	const life, promise, minute = 6940 * time.Second, 3440 * time.Second, time.Minute
	for name, c := range map[string]struct {
		change  func(*Held)
		answer  Answer
		token   string // of the record to write; empty: none
		number  int64  // the upstream's
		lagging bool
	}{
		"nothing new":                        {nil, answered("a", 100, minute, life, promise), "", 0, false},
		"a second apart":                     {nil, answered("a", 100, minute, life-time.Second, promise+time.Second), "", 0, false},
		"another token, a higher number":     {nil, answered("b", 101, minute, 7200*time.Second, 3575*time.Second), "b", 101, false},
		"it ends 5 s later":                  {nil, answered("a", 100, minute, life+5*time.Second, promise), "", 0, false},
		"it ends 6 s later":                  {nil, answered("a", 100, minute, life+6*time.Second, promise), "a", 100, false},
		"in doubt":                           {nil, answered("a", 100, minute, 300*time.Second, 60*time.Second), "a", 100, false},
		"promised for longer":                {nil, answered("a", 100, minute, life, promise+6*time.Second), "a", 100, false},
		"the same token, a higher number":    {nil, answered("a", 102, minute, life, promise), "a", 102, false},
		"the same token, a lower number":     {nil, answered("a", 99, minute, life, promise), "", 0, false},
		"a lower number":                     {nil, answered("z", 99, minute, 300*time.Second, 275*time.Second), "a", 100, true},
		"the same number, another token":     {nil, answered("z", 100, minute, 300*time.Second, 275*time.Second), "a", 100, true},
		"a lower number, 39 s later":         {lagging, answered("z", 99, 59*time.Second, 300*time.Second, 275*time.Second), "", 0, false},
		"a lower number, 46 s later":         {lagging, answered("z", 99, 66*time.Second, 300*time.Second, 275*time.Second), "z", 99, false},
		"the right number after lower ones":  {lagging, answered("a", 100, 66*time.Second, life, promise), "a", 100, false},
		"the right token, a lower number":    {lagging, answered("a", 98, 66*time.Second, life, promise), "a", 100, false},
		"a lower number, and it is reported": {reported, answered("z", 99, minute, 300*time.Second, 275*time.Second), "z", 99, false},
		"a lower number, and it has expired": {nil, answered("z", 99, 7000*time.Second, 300*time.Second, 275*time.Second), "z", 99, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := downstream(t)
			if c.change != nil {
				c.change(h)
			}
			before := h.Number
			now := c.answer.Sent
			r := h.FromUpstream(c.answer, "other", now)
			if c.token == "" {
				assert.Nil(t, r)
				return
			}
			require.NotNil(t, r)
			assert.Equal(t, c.token, r.Token)
			assert.Equal(t, c.number, r.UpstreamNumber)
			assert.Equal(t, c.lagging, r.Lagging != 0)
			assert.Greater(t, r.Number, before, "always a fresh number of its own")
			assert.Equal(t, UpstreamAPI, r.API)
			if c.lagging {
				return
			}
			require.True(t, h.Remember(r, now))
			assert.InDelta(t, c.answer.Life, h.Left(now), float64(time.Second))
			promise, ok := h.Promise(now)
			assert.True(t, ok)
			assert.InDelta(t, c.answer.Promise, promise, float64(time.Second))
			if c.token != "a" && now.Mono.Before(origin.Add(7000*time.Second)) {
				assert.True(t, r.Knows("a"), "the entry has it")
			}
		})
	}
}

// The promise is the upstream's, less its age, and never under a second while the token is
// valid. The credential is never due here.
func TestPromise_OfTheUpstream(t *testing.T) {
	for _, ticket := range []bool{false, true} {
		h := downstream(t)
		h.Ticket = ticket
		for after, want := range map[time.Duration]time.Duration{
			0: 3500 * time.Second, 100 * time.Second: 3400 * time.Second, 3499 * time.Second: time.Second, 6990 * time.Second: time.Second,
		} {
			promise, ok := h.Promise(at(after))
			assert.True(t, ok)
			assert.Equal(t, want, promise, after)
		}
		assert.Equal(t, 3000*time.Second, h.DueIn(at(4000*time.Second), 1), "when it ends")
		assert.False(t, h.Wants(Why{}, at(6900*time.Second), 1))
		assert.True(t, h.Wants(Why{Ask: true}, at(0), 0))
	}
	h := downstream(t)
	assert.Equal(t, 3225*time.Second, h.UpstreamDueIn(at(0)), "its promise ends 275 s after it is due")
	assert.Zero(t, h.UpstreamDueIn(at(3300*time.Second)))
	h.Ticket = true
	assert.Equal(t, 3499*time.Second, h.UpstreamDueIn(at(0)))
	assert.Zero(t, h.UpstreamDueIn(at(3600*time.Second)), "its promise has ended: alerts compare with 0")
}

// What a sidecar that asks is told: the number, and the life; in doubt, what is left of the
// grace period.
func TestToDownstream_InDoubt(t *testing.T) {
	h := holding("a")
	number, life := h.ToDownstream(at(100 * time.Second))
	assert.EqualValues(t, 5, number)
	assert.Equal(t, 7100*time.Second, life)

	claim := h.Claim(h.Record, "", "claim", "pod", at(200*time.Second))
	h.Remember(claim, at(200*time.Second))
	number, life = h.ToDownstream(at(200 * time.Second))
	assert.Equal(t, claim.Number, number)
	assert.Equal(t, 300*time.Second, life, "the request may have issued another one")
	_, life = h.ToDownstream(at(300 * time.Second))
	assert.Equal(t, 200*time.Second, life)

	mark := h.Mark(claim, Lost(at(200*time.Second)).At, "mark", "pod", at(210*time.Second))
	h.Adopt(mark, at(215*time.Second))
	_, life = h.ToDownstream(at(260 * time.Second))
	assert.LessOrEqual(t, life, 240*time.Second, "the grace period began before the mark was seen")
	assert.GreaterOrEqual(t, life, 200*time.Second)
	_, life = h.ToDownstream(at(1000 * time.Second))
	assert.Equal(t, 30*time.Second, life, "it is given on: it is better than none")

	h = holding("a")
	_, life = h.ToDownstream(at(7197 * time.Second))
	assert.Equal(t, 3*time.Second, life)
}

// A sidecar with an upstream never asks all others to wait for a renewal, and overwrites an
// unknown entry.
func TestReconcile_WithAnUpstream(t *testing.T) {
	h := downstream(t)
	due := at(6500 * time.Second)
	r := h.Reconcile(Polled{View: memcache.View{}}, due)
	require.NotNil(t, r.PutBack)
	assert.False(t, r.Wait)
	r = h.Reconcile(Polled{View: memcache.View{Entry: memcache.Entry{Token: "external"}, Record: memcache.Seen{Record: h.Record}}}, at(time.Minute))
	assert.Equal(t, "external", r.External)
	assert.False(t, r.Renew, "it is never reported upstream")
	assert.True(t, r.Publish)
}
