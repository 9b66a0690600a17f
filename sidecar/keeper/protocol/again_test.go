package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// again holds a credential that WeChat returned again at origin, with so many seconds left.
func again(ticket bool, left int64) *Held {
	h := &Held{Ticket: ticket}
	r := record("a", 5, 0)
	r.Expires, r.API, r.Again = r.Issued+left, "stable_token", true
	h.Remember(r, at(0))
	return h
}

// A record says that WeChat returned the same credential again, if it has little life left.
func TestSuccess_TheSameAgain(t *testing.T) {
	for name, c := range map[string]struct {
		token string
		life  time.Duration
		older []*memcache.Record
		want  bool
	}{
		"the same, with little left":  {"a", 299 * s, []*memcache.Record{nil, record("a", 5, 0)}, true},
		"the same, in doubt in there": {"a", 299 * s, []*memcache.Record{record("a", 5, 0), record("b", 6, 0)}, true},
		"the same, with more left":    {"a", 300 * s, []*memcache.Record{record("a", 5, 0)}, false},
		"another, with little left":   {"b", 10 * s, []*memcache.Record{record("a", 5, 0)}, false},
		"the first":                   {"a", 10 * s, []*memcache.Record{nil}, false},
	} {
		got := (&Held{}).Success(Fetched{Token: c.token, Life: c.life, Sent: at(0)}, 9, c.older, at(0))
		assert.Equal(t, c.want, got.Again, name)
	}
}

// A ticket that WeChat returned again is served to its end, and the next request follows
// two seconds later. A token is requested again at half of what is left.
func TestAgain_ServedToItsEnd(t *testing.T) {
	for _, c := range []struct {
		name    string
		held    *Held
		after   time.Duration
		valid   bool
		due     time.Duration
		promise time.Duration
		rest    time.Duration
	}{
		{"a ticket", again(true, 200), 100 * s, true, 102 * s, 100 * s, 0},
		{"a ticket near its end", again(true, 200), 197 * s, true, 5 * s, 3 * s, 0},
		{"a ticket, two seconds before its end", again(true, 200), 198 * s, false, 4 * s, 0, 4 * s},
		{"a ticket at its end", again(true, 200), 200 * s, false, 2 * s, 0, 2 * s},
		{"a ticket, two seconds later", again(true, 200), 202 * s, false, 0, 0, 0},
		{"a ticket with nothing to serve", again(true, 1), 0, false, 3 * s, 0, 3 * s},
		{"a token", again(false, 200), 60 * s, true, 40 * s, 140 * s, 0},
		{"a token near its end", again(false, 8), 7 * s, true, 3 * s, s, 0},
		{"a token that has ended", again(false, 8), 8 * s, false, 2 * s, 0, 0},
	} {
		now := at(c.after)
		assert.Equal(t, c.valid, c.held.Valid(now), c.name)
		assert.Equal(t, c.rest, c.held.Rest(now), c.name)
		promise, _ := c.held.Promise(now)
		assert.Equal(t, c.promise, promise, c.name)
		if c.held.Record != nil {
			assert.Equal(t, c.due, c.held.DueByAge(now, 0), c.name)
		}
	}
}

// The rest outlives the record, and ends with another ticket.
func TestRest_UntilTheNextTicket(t *testing.T) {
	h := again(true, 200)
	expired := h.Record
	assert.False(t, h.Adopt(expired, at(199*s)))
	assert.Nil(t, h.Record)
	assert.Equal(t, 3*s, h.Rest(at(199*s)))
	other := &Held{Ticket: true}
	assert.True(t, other.Adopt(expired, at(100*s)))
	assert.Equal(t, 5*s, other.Rest(at(199*s)), "by its clock it can end too early")
	next := record("b", 7, 199*s)
	assert.True(t, h.Adopt(next, at(199*s)))
	assert.Zero(t, h.Rest(at(199*s)))
	assert.Zero(t, h.Rest(at(8000*s)), "an ordinary ticket that ended")

	h = holding("a")
	h.Ticket = true
	sooner := record("a", 7, 10*s)
	sooner.Expires, sooner.Again = sooner.Issued+1, true
	assert.True(t, h.Remember(sooner, at(10*s)), "the held record says that it lives for longer")
	assert.False(t, h.Valid(at(10*s)))
	assert.Equal(t, 3*s, h.Rest(at(10*s)))
}

// A request for a token that WeChat returned again is planned, without a mark.
func TestPlanFor_TheSameAgain(t *testing.T) {
	for _, c := range []struct {
		after   time.Duration
		planned bool
	}{{99 * s, false}, {100 * s, true}, {200 * s, false}} {
		every, planned := again(false, 200).PlanFor(Why{}, at(c.after))
		assert.Zero(t, every)
		assert.Equal(t, c.planned, planned, "after %s", c.after)
	}
}
