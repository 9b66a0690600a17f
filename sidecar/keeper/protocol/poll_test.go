package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// view returns entry and record as a poll reads them.
func view(entry string, there *memcache.Record) memcache.View {
	return memcache.View{Entry: memcache.Entry{Token: entry}, Record: memcache.Seen{Record: there}}
}

// What a poll repairs, by what stands in memcached. b is held, a is what it replaced.
func TestReconcile_RepairsWhatIsAmiss(t *testing.T) {
	held := func(change func(*Held)) *Held {
		h := holding("b")
		h.Record.Past = []string{memcache.Fingerprint("a")}
		if change != nil {
			change(h)
		}
		return h
	}
	full := 3600 * s
	stable := func(h *Held) { h.Record.API = "stable_token" }
	reported := func(h *Held) { h.Reported = memcache.Fingerprint("b") }
	inDoubt := func(h *Held) {
		h.Record.Doubt, h.Record.Claim = origin.Unix(), "id"
		h.seeDoubt(h.Record, at(0))
	}
	own, older, tokenless := record("b", 5, 0), record("a", 4, 0), &memcache.Record{Number: 9}
	for name, c := range map[string]struct {
		held     *Held
		polled   Polled
		after    time.Duration
		want     Repair
		putsBack bool
	}{
		"nothing is held":                      {&Held{}, Polled{View: view("x", nil)}, 0, Repair{}, false},
		"all is there":                         {held(nil), Polled{View: view("b", own)}, 0, Repair{Life: full}, false},
		"the entry is missing":                 {held(nil), Polled{View: view("", own)}, 0, Repair{Publish: true, Life: full}, false},
		"the entry has the one before":         {held(nil), Polled{View: view("a", own)}, 0, Repair{Publish: true, Life: full}, false},
		"all is missing":                       {held(nil), Polled{View: view("", nil)}, 0, Repair{Publish: true, Life: full}, true},
		"the record is missing":                {held(nil), Polled{View: view("b", nil)}, 0, Repair{Life: full}, true},
		"the record is missing, renewal near":  {held(nil), Polled{View: view("b", nil)}, 3283 * s, Repair{Life: full, Wait: true}, true},
		"the record is missing, not so near":   {held(nil), Polled{View: view("b", nil)}, 3282 * s, Repair{Life: full}, true},
		"the record is missing, near its end":  {held(nil), Polled{View: view("b", nil)}, 7166 * s, Repair{Life: -26 * s}, true},
		"the record is older":                  {held(nil), Polled{View: view("b", older)}, 0, Repair{Life: full}, true},
		"the record has no token":              {held(nil), Polled{View: view("b", tokenless)}, 0, Repair{Life: full}, true},
		"the record is newer, and expired":     {held(nil), Polled{View: view("a", record("z", 6, -3*time.Hour))}, 0, Repair{}, false},
		"overdue, written lately":              {held(nil), Polled{View: view("b", own)}, 3331 * s, Repair{Life: full}, false},
		"overdue, not written for a while":     {held(nil), Polled{View: view("b", own), Stale: true}, 3331 * s, Repair{Publish: true, Life: full}, false},
		"not overdue for all, not written":     {held(nil), Polled{View: view("b", own), Stale: true}, 3329 * s, Repair{Life: full}, false},
		"its doubt is due, not written":        {held(inDoubt), Polled{View: view("b", own), Stale: true}, 91 * s, Repair{Life: full}, false},
		"an external token, classic":           {held(nil), Polled{View: view("x", own)}, 0, Repair{Life: full, External: "x", Renew: true}, false},
		"an external token, stable_token":      {held(stable), Polled{View: view("x", own)}, 0, Repair{Life: full, External: "x", Publish: true}, false},
		"unknown, no record, at first":         {held(nil), Polled{View: view("x", nil)}, 10 * s, Repair{Unclear: true}, false},
		"unknown, no record, two minutes":      {held(nil), Polled{View: view("x", nil), UnclearSince: at(10 * s).Mono}, 130*s - 1, Repair{Unclear: true}, false},
		"unknown, no record, for too long":     {held(nil), Polled{View: view("x", nil), UnclearSince: at(10 * s).Mono}, 130 * s, Repair{Life: full}, true},
		"renewed, over whatever is there":      {held(nil), Polled{View: view("x", own), Renewed: true}, 0, Repair{Publish: true, Life: full}, false},
		"renewed, WeChat returned the same":    {held(nil), Polled{View: view("b", own), Renewed: true}, 0, Repair{Publish: true, Life: full}, false},
		"renewed, the record was lost again":   {held(nil), Polled{View: view("x", nil), Renewed: true}, 0, Repair{Publish: true, Life: full}, true},
		"reported, and renewing":               {held(reported), Polled{View: view("", nil), Renewing: true}, 0, Repair{Life: full}, false},
		"reported, and not renewing":           {held(reported), Polled{View: view("", nil)}, 0, Repair{Publish: true, Life: full}, true},
		"reported, renewing, the one before":   {held(reported), Polled{View: view("a", own), Renewing: true}, 0, Repair{Life: full}, false},
		"the record knows the entry's as past": {held(nil), Polled{View: view("y", &memcache.Record{Number: 9, Past: []string{memcache.Fingerprint("y")}})}, 0, Repair{Publish: true, Life: full}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.held.Reconcile(c.polled, at(c.after))
			assert.Equal(t, c.putsBack, got.PutBack != nil, "puts back")
			got.PutBack = nil
			assert.Equal(t, c.want, got)
		})
	}
}

// A record that is put back is what is held, and no older than what stands there. Over a
// token that it did not replace it is in doubt, because it is unknown which came last.
func TestReconcile_PutsBack(t *testing.T) {
	now := origin.Add(100 * s)
	for name, c := range map[string]struct {
		there  *memcache.Record
		doubt  Doubt
		number int64
	}{
		"none":                              {nil, Doubt{}, 5},
		"the one before":                    {record("a", 4, 0), Doubt{}, 5},
		"a token that is none of the past":  {record("x", 4, 0), Doubt{At: now.Unix()}, now.UnixMilli()},
		"a claim without a token":           {&memcache.Record{Number: 9, Doubt: 77, Claim: "id"}, Doubt{At: 77, By: "id"}, now.UnixMilli()},
		"a number, and nothing more":        {&memcache.Record{Number: 9}, Doubt{}, now.UnixMilli()},
		"a lower number, and a doubt of it": {&memcache.Record{Number: 4, Doubt: 77, Claim: "id"}, Doubt{At: 77, By: "id"}, 5},
	} {
		h := holding("b")
		h.Record.Past = []string{memcache.Fingerprint("a")}
		got := h.Reconcile(Polled{View: view("b", c.there)}, at(100*s)).PutBack
		assert.Equal(t, "b", got.Token, name)
		assert.Equal(t, c.doubt, doubtOf(got), name)
		assert.Equal(t, c.number, got.Number, name)
		assert.EqualValues(t, 100, got.Age, "%s: others see it for the first time", name)
		assert.Zero(t, h.Record.Age, "%s: records are shared", name)
	}
}

// Two sidecars can renew under the same number if the record of the first was lost. Who
// holds another token than the record has then puts its own back in doubt.
func TestReconcile_SameNumberOtherToken(t *testing.T) {
	h := holding("a")
	got := h.Reconcile(Polled{View: memcache.View{Record: memcache.Seen{Record: record("b", 5, 0)}, Entry: memcache.Entry{Token: "b"}}}, at(0))
	require.NotNil(t, got.PutBack)
	assert.Equal(t, "a", got.PutBack.Token)
	assert.Equal(t, origin.Unix(), got.PutBack.Doubt)
	assert.Greater(t, got.PutBack.Number, int64(5))

	same := h.Reconcile(Polled{View: memcache.View{Record: memcache.Seen{Record: record("a", 5, 0)}, Entry: memcache.Entry{Token: "a"}}}, at(0))
	assert.Nil(t, same.PutBack)
}

// No request to stable_token or for a ticket invalidates another credential, so a put-back
// over an unknown one leaves no doubt.
func TestReconcile_NoDoubtOfStableTokens(t *testing.T) {
	for _, api := range []string{"stable_token", "jsapi"} {
		h := &Held{Ticket: api == "jsapi"}
		mine, there := record("b", 5, 0), record("x", 4, 0)
		mine.API, there.API = api, api
		h.Remember(mine, at(0))
		got := h.Reconcile(Polled{View: view("b", there)}, at(100*s)).PutBack
		assert.Equal(t, Doubt{}, doubtOf(got), api)
		assert.Greater(t, got.Number, int64(5), api)
	}
}
