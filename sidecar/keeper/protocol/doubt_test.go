package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// doubtful returns a record of the token with a doubt so long after origin.
func doubtful(token string, number int64, doubt time.Duration, id string) *memcache.Record {
	r := record(token, number, 0)
	r.Doubt, r.Claim = origin.Add(doubt).Unix(), id
	return r
}

// A doubt is due at its time, and not earlier than 60 s after it was first seen, whatever
// the wall clock says. More than two delays ahead counts as now.
func TestDoubt_DueByFirstSight(t *testing.T) {
	for name, c := range map[string]struct {
		doubt, off, want time.Duration
	}{
		"a claim, seen at once":        {75 * time.Second, 0, 75 * time.Second},
		"a claim, seen 15 s later":     {60 * time.Second, 0, 60 * time.Second},
		"now":                          {0, 0, 60 * time.Second},
		"long past":                    {-time.Hour, 0, 60 * time.Second},
		"my clock is 12 s ahead":       {75 * time.Second, 12 * time.Second, 63 * time.Second},
		"my clock is an hour ahead":    {75 * time.Second, time.Hour, 60 * time.Second},
		"my clock is a minute behind":  {75 * time.Second, -time.Minute, 135 * time.Second},
		"my clock is an hour behind":   {75 * time.Second, -time.Hour, 60 * time.Second},
		"two delays":                   {150 * time.Second, 0, 150 * time.Second},
		"a second more":                {151 * time.Second, 0, 60 * time.Second},
		"in the year 2100, say":        {74 * 365 * 24 * time.Hour, 0, 60 * time.Second},
		"a wall clock beyond all days": {0, 200 * 365 * 24 * time.Hour, 60 * time.Second},
	} {
		h := &Held{}
		r := doubtful("a", 5, c.doubt, "id")
		h.seeDoubt(r, skewed(0, c.off))
		assert.Equal(t, c.want, h.doubt(r).dueIn(skewed(0, c.off)), name)
		assert.Equal(t, c.want-10*time.Second, h.doubt(r).dueIn(skewed(10*time.Second, c.off)), "%s: only the monotonic clock counts", name)
		assert.Equal(t, c.want-10*time.Second, h.doubt(r).dueIn(skewed(10*time.Second, c.off+time.Hour)), "%s: a clock that jumps", name)
	}
}

// A token in doubt is promised until another sidecar can renew it: that ends it at once if
// the request in doubt issued one. The mark of a lost answer names a time 60 s after the
// request, and its claim 75 s.
func TestDoubt_Promise(t *testing.T) {
	for doubt, want := range map[time.Duration]time.Duration{
		75 * time.Second: time.Minute, 60 * time.Second: 45 * time.Second, 15 * time.Second: 0, 0: 0,
		-time.Hour: 0, 150 * time.Second: time.Minute, time.Hour: 0,
	} {
		h := &Held{}
		r := doubtful("a", 5, doubt, "id")
		h.seeDoubt(r, at(0))
		assert.Equal(t, want, h.doubt(r).promise(at(0)), "doubt in %s", doubt)
		assert.Equal(t, max(0, want-10*time.Second), h.doubt(r).promise(at(10*time.Second)))
	}
	assert.Zero(t, (&Held{}).doubt(doubtful("a", 5, 0, "id")).promise(at(0)), "never seen")
}

// The claim of a renewal that a doubt caused promises no more than that doubt.
func TestDoubt_ClaimOfDoubtfulToken(t *testing.T) {
	h := &Held{}
	require.True(t, h.Adopt(doubtful("a", 1000, 75*time.Second, "lost"), at(0)))
	require.True(t, h.Adopt(doubtful("a", 2000, 155*time.Second, "claim"), at(80*time.Second)))
	assert.Zero(t, h.doubt(h.Record).promise(at(80*time.Second)))
	promised, ok := h.Promise(at(80 * time.Second))
	require.True(t, ok)
	assert.Equal(t, time.Second, promised)
}

// The same doubt keeps its first sight. Another id, or another time, is another doubt.
func TestDoubt_IsItsTimeAndItsID(t *testing.T) {
	h := &Held{}
	r := doubtful("a", 5, 0, "id")
	h.seeDoubt(r, at(0))
	h.seeDoubt(r, at(30*time.Second))
	assert.Equal(t, 30*time.Second, h.doubt(r).dueIn(at(30*time.Second)))
	for _, other := range []*memcache.Record{doubtful("a", 6, 0, "other"), doubtful("a", 6, time.Second, "id")} {
		h.seeDoubt(other, at(30*time.Second))
		assert.Equal(t, time.Minute, h.doubt(other).dueIn(at(30*time.Second)))
	}
	for i := range 10 {
		h.seeDoubt(doubtful("a", 7, time.Duration(i)*time.Second, "many"), at(40*time.Second))
	}
	assert.Len(t, h.doubts, maxDoubts)
	assert.LessOrEqual(t, h.doubt(r).dueIn(at(40*time.Second)), time.Duration(0), "pushed out: due, and never dropped")
}

// A success clears its own doubts, and those that were due before it was sent.
func TestSurviving_AllButTheOwnAndTheDue(t *testing.T) {
	h := &Held{}
	r := doubtful("a", 5, 0, "id")
	h.seeDoubt(r, at(0))
	kept := Doubt{At: r.Doubt, By: "id"}
	assert.Equal(t, kept, h.Surviving(r, at(time.Minute-1)), "seen less than 60 s before")
	assert.Equal(t, Doubt{}, h.Surviving(r, at(time.Minute)))
	assert.Equal(t, kept, h.Surviving(r, skewed(time.Minute-1, time.Hour)), "by no wall clock")
	assert.Equal(t, Doubt{}, h.Surviving(r, at(0), "other", "id"), "its own")
	assert.Equal(t, kept, h.Surviving(r, at(0), "", "other"))
	assert.Equal(t, Doubt{}, h.Surviving(record("a", 5, 0), at(0)))
	assert.Equal(t, Doubt{}, h.Surviving(nil, at(0)))
	unseen := doubtful("a", 5, -time.Hour, "unseen")
	assert.Equal(t, Doubt{At: unseen.Doubt, By: "unseen"}, h.Surviving(unseen, at(time.Hour)), "never dropped unseen")
	assert.NotEqual(t, Doubt{}, h.Surviving(doubtful("a", 5, 0, ""), at(0), ""), "an empty id is no sidecar's own")
}

// What is owed: a minute after a request whose answer was lost, and now if a token could
// not be written.
func TestUnsettled_OwesADoubt(t *testing.T) {
	assert.False(t, Unsettled{}.Owes())
	lost := Lost(at(10 * time.Second))
	assert.True(t, lost.Owes())
	assert.Equal(t, origin.Add(70*time.Second).Unix(), lost.At)
	assert.Equal(t, Unsettled{At: origin.Add(10 * time.Second).Unix()}, Unwritten(at(10*time.Second)))
}

// A mark has the newest token with a doubt not later than owed, a fresh number and an id
// of its own.
func TestMark_TheNewestToken(t *testing.T) {
	owed := origin.Add(70 * time.Second).Unix()
	for name, c := range map[string]struct {
		held  *Held
		there *memcache.Record
		token string
		doubt int64
	}{
		"what is held":                       {holding("a"), nil, "a", owed},
		"what is held, over an older":        {holding("b"), record("a", 4, 0), "b", owed},
		"another's claim is lowered":         {holding("a"), doubtful("a", 5, 75*time.Second, "claim"), "a", owed},
		"an earlier doubt keeps its time":    {holding("a"), doubtful("a", 5, 30*time.Second, "mark"), "a", origin.Add(30 * time.Second).Unix()},
		"a doubt beyond all dates":           {holding("a"), doubtful("a", 5, 74*365*24*time.Hour, "hand"), "a", owed},
		"nothing is held, nothing is there":  {&Held{}, nil, "", owed},
		"nothing is held, an expired record": {&Held{}, record("a", 4, -3*time.Hour), "", owed},
	} {
		t.Run(name, func(t *testing.T) {
			c.held.Adopt(c.there, at(0))
			got := c.held.Mark(c.there, owed, "mine", "pod", at(10*time.Second))
			assert.Equal(t, c.token, got.Token)
			assert.Equal(t, c.doubt, got.Doubt)
			assert.Equal(t, "mine", got.Claim)
			assert.Equal(t, c.held.NextNumber(at(10*time.Second)), got.Number)
			if c.token != "" {
				assert.EqualValues(t, 10, got.Age)
			} else if c.there != nil {
				assert.Equal(t, []string{memcache.Fingerprint("a")}, got.Past, "the expired token is no external one")
			}
		})
	}
	h := holding("a")
	require.NotSame(t, h.Record, h.Mark(nil, owed, "mine", "pod", at(0)), "records are shared")
	assert.Zero(t, h.Record.Doubt)
}
