package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

var origin = time.Unix(1_763_811_900, 0)

// at returns the time so long after origin, on both clocks.
func at(after time.Duration) Now { return Now{Wall: origin.Add(after), Mono: origin.Add(after)} }

// skewed is at with a wall clock that is off.
func skewed(after, off time.Duration) Now {
	now := at(after)
	now.Wall = now.Wall.Add(off)
	return now
}

// record returns a record of a token of two hours, issued so long after origin.
func record(token string, number int64, issued time.Duration) *memcache.Record {
	i := origin.Add(issued).Unix()
	return &memcache.Record{V: memcache.RecordVersion, Token: token, Number: number, Issued: i, Expires: i + 7200, API: "token"}
}

// holding returns what a sidecar holds that fetched a token at origin, under the number 5.
func holding(token string) *Held {
	h := &Held{}
	h.Remember(record(token, 5, 0), at(0))
	return h
}

// A newer record is adopted, and a valid one if none is held. The highest number is
// remembered in any case.
func TestAdopt_TakesTheNewer(t *testing.T) {
	for name, c := range map[string]struct {
		held    *Held
		read    *memcache.Record
		now     Now
		adopted bool
		number  int64
	}{
		"nothing held":             {&Held{}, record("a", 5, 0), at(0), true, 5},
		"none read":                {holding("a"), nil, at(time.Minute), false, 5},
		"older":                    {holding("a"), record("b", 4, 0), at(time.Minute), false, 5},
		"the same number":          {holding("a"), record("b", 5, 0), at(time.Minute), false, 5},
		"newer":                    {holding("a"), record("b", 6, 0), at(time.Minute), true, 6},
		"newer, without a token":   {holding("a"), &memcache.Record{Number: 9}, at(time.Minute), false, 9},
		"newer, and expired":       {holding("a"), record("b", 9, -2*time.Hour), at(time.Minute), false, 9},
		"older, and mine expired":  {holding("a"), record("b", 2, 2*time.Hour), at(2*time.Hour + time.Minute), true, 5},
		"nothing held, an expired": {&Held{}, record("a", 5, -2*time.Hour), at(0), false, 5},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.adopted, c.held.Adopt(c.read, c.now))
			assert.Equal(t, c.number, c.held.Number)
			if c.adopted {
				assert.Same(t, c.read, c.held.Record)
			}
		})
	}
}

// An expired record is forgotten, and reading it again does not make it young.
func TestAdopt_KeepsAnExpiredTokenExpired(t *testing.T) {
	h := &Held{}
	old := record("a", 5, 0)
	require.True(t, h.Adopt(old, at(0)))
	assert.False(t, h.Adopt(old, at(2*time.Hour)))
	assert.Nil(t, h.Record)
	assert.False(t, h.Adopt(old, at(2*time.Hour+12*time.Second)), "it was there at the last poll")
	assert.False(t, h.Valid(at(2*time.Hour+12*time.Second)))
}

// A token that arrives between two polls is as old as its writer says, and a poll
// apart. A wall clock that is off changes that only for a process that just started.
func TestAge_OfAnArrival(t *testing.T) {
	for name, c := range map[string]struct {
		polled bool // 12 s before, when another record was there
		off    time.Duration
		issued time.Duration
		age    int64 // the writer's
		want   time.Duration
	}{
		"just started":                         {false, 0, -100 * time.Second, 0, 100 * time.Second},
		"just started, clock behind":           {false, -time.Hour, -100 * time.Second, 0, 0},
		"just started, clock behind, put back": {false, -time.Hour, -100 * time.Second, 90, 90 * time.Second},
		"just started, clock ahead":            {false, time.Hour, -100 * time.Second, 0, 3700 * time.Second},
		"arrived":                              {true, 0, -5 * time.Second, 0, 5 * time.Second},
		"arrived, clock 24 h ahead":            {true, 24 * time.Hour, -5 * time.Second, 0, 132 * time.Second},
		"arrived, clock 1 h behind":            {true, -time.Hour, -5 * time.Second, 0, 12 * time.Second},
		"arrived, clock 2 s behind":            {true, -7 * time.Second, -5 * time.Second, 0, 0},
		"put back, clock 1 h behind":           {true, -time.Hour, -500 * time.Second, 495, 507 * time.Second},
		"put back, clock ahead":                {true, time.Hour, -500 * time.Second, 495, 627 * time.Second},
		"its writer was paused":                {true, 0, -100 * time.Second, 0, 100 * time.Second},
		"put back":                             {true, 0, -500 * time.Second, 495, 500 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			h := &Held{}
			if c.polled {
				h.Adopt(record("before", 1, -3300*time.Second), skewed(-12*time.Second, c.off))
			}
			r := record("a", 5, c.issued)
			r.Age = c.age
			now := skewed(0, c.off)
			h.take(r, arrival(r, h.read, now), now, 0)
			require.Same(t, r, h.Record)
			assert.Equal(t, c.want, h.Age(now))
			assert.Equal(t, c.want+time.Minute, h.Age(skewed(time.Minute, c.off)), "a minute later")
		})
	}
}

// After the first sight the clock that went further counts: one that is set back, or a
// A record that a sidecar has read before does not arrive anew when its own one expires.
func TestAge_OfAnEarlierRecordReadAgain(t *testing.T) {
	h := &Held{}
	first, own := record("a", 5, 0), record("a", 7, 300*time.Second)
	first.Expires, own.Expires = first.Issued+600, own.Issued+300
	require.True(t, h.Adopt(first, at(0)))
	h.Adopt(first, at(295*time.Second))
	require.True(t, h.Remember(own, at(300*time.Second)))
	for after := 310 * time.Second; after < 700*time.Second; after += 10 * time.Second {
		h.Adopt(first, at(after)) // own could not be written
		assert.Equal(t, after < 598*time.Second, h.Valid(at(after)), "after %s", after)
	}
}

// machine that was suspended, makes no token younger.
func TestAge_ByTheClockThatWentFurther(t *testing.T) {
	h := holding("a")
	assert.Equal(t, 100*time.Second, h.Age(at(100*time.Second)))
	assert.Equal(t, 100*time.Second, h.Age(skewed(100*time.Second, -time.Hour)), "set back")
	assert.Equal(t, 100*time.Second+time.Hour, h.Age(skewed(100*time.Second, time.Hour)), "suspended, or set ahead")
}

// A token is valid until 2 s before its end.
func TestValid_AtItsEnd(t *testing.T) {
	h := holding("a")
	assert.True(t, h.Valid(at(7198*time.Second-1)))
	assert.False(t, h.Valid(at(7198*time.Second)))
	assert.False(t, (&Held{}).Valid(at(0)))
	assert.False(t, (&Held{Record: &memcache.Record{Number: 1}}).Valid(at(0)), "no token")
	assert.Equal(t, 7100*time.Second, h.Left(at(100*time.Second)))
}

// A record is no record if it is more than 48 h ahead of this clock.
func TestPlausible_WithinTwoDays(t *testing.T) {
	day := 24 * time.Hour
	assert.True(t, Plausible(record("a", origin.UnixMilli(), 2*day), at(0)))
	assert.False(t, Plausible(record("a", origin.UnixMilli(), 2*day+time.Second), at(0)))
	assert.True(t, Plausible(record("a", origin.Add(2*day).UnixMilli(), 0), at(0)))
	assert.False(t, Plausible(record("a", origin.Add(2*day).UnixMilli()+1, 0), at(0)))
}

// The difference of the clocks is what the arrival does not explain.
func TestClockOff_OfAnArrival(t *testing.T) {
	for off, want := range map[time.Duration]time.Duration{
		0: 0, time.Hour: time.Hour - 127*time.Second, -time.Hour: -time.Hour + 5*time.Second - 12*time.Second,
	} {
		h := &Held{}
		h.Adopt(record("before", 1, -3300*time.Second), skewed(-12*time.Second, off))
		r := record("a", 5, -5*time.Second)
		now := skewed(0, off)
		require.True(t, h.Adopt(r, now))
		assert.Equal(t, want, h.ClockOff(r, now), "off by %s", off)
		assert.Zero(t, h.ClockOff(r, skewed(time.Second, off)), "only at first sight")
		assert.Zero(t, h.ClockOff(nil, now))
	}
}

// A token counts as reported if an app reported it here, or if the record says so.
func TestIsReported_HereOrHandedOver(t *testing.T) {
	h := holding("a")
	assert.False(t, h.IsReported())
	assert.False(t, h.IsHandedOver())
	h.Reported = memcache.Fingerprint("a")
	assert.True(t, h.IsReported())
	assert.False(t, h.IsHandedOver())
	h.Reported = memcache.Fingerprint("b")
	assert.False(t, h.IsReported(), "another token")
	h.Record.Reported = memcache.Fingerprint("a")
	assert.True(t, h.IsReported())
	assert.True(t, h.IsHandedOver())
	assert.False(t, (&Held{Reported: "x"}).IsReported(), "none held")
}

// A token is due 3,300 s after it was issued, plus the jitter, and as much earlier as
// the record says.
func TestDueIn_ByAge(t *testing.T) {
	h := holding("a")
	assert.Equal(t, time.Second, h.DueIn(at(3299*time.Second), 0))
	assert.Equal(t, time.Duration(0), h.DueIn(at(3300*time.Second), 0))
	assert.Equal(t, 30*time.Second, h.DueIn(at(3300*time.Second), 1))
	h.Record.Early = 1000
	assert.Equal(t, 2300*time.Second, h.DueIn(at(0), 0))
}

// A record in doubt is due at the doubt, not before, whatever its age.
func TestDueIn_ByDoubt(t *testing.T) {
	h := holding("a")
	r := h.Record.Clone()
	r.Number, r.Doubt, r.Claim = 6, origin.Add(175*time.Second).Unix(), "id"
	require.True(t, h.Adopt(r, at(100*time.Second)))
	assert.Equal(t, 75*time.Second, h.DueIn(at(100*time.Second), 0))
	assert.Equal(t, 105*time.Second, h.DueIn(at(100*time.Second), 1))
	assert.Equal(t, 3200*time.Second, h.DueByAge(at(100*time.Second), 0))
	assert.Equal(t, -10*time.Second, h.DueIn(at(185*time.Second), 0))
}

// A renewal is on time within a minute of its due time, if nothing else asks for it.
func TestOnTime_OnlyIfPlanned(t *testing.T) {
	for name, c := range map[string]struct {
		age    time.Duration
		change func(*Held)
		want   bool
	}{
		"due":              {3310 * time.Second, func(*Held) {}, true},
		"a minute late":    {3359 * time.Second, func(*Held) {}, true},
		"not due":          {3299 * time.Second, func(*Held) {}, false},
		"after an outage":  {3360 * time.Second, func(*Held) {}, false},
		"in doubt":         {3310 * time.Second, func(h *Held) { h.Record.Doubt = 1 }, false},
		"reported":         {3310 * time.Second, func(h *Held) { h.Reported = memcache.Fingerprint("a") }, false},
		"expired":          {7300 * time.Second, func(*Held) {}, false},
		"nothing is there": {3310 * time.Second, func(h *Held) { h.Record = nil }, false},
	} {
		h := holding("a")
		c.change(h)
		assert.Equal(t, c.want, h.OnTime(at(c.age)), name)
	}
}

// The promise is what WeChat keeps: the grace after the next renewal included, and less
// if in doubt.
func TestPromise_OfWhatIsHeld(t *testing.T) {
	h := holding("a")
	for after, want := range map[time.Duration]time.Duration{
		0: 3575 * time.Second, 3300 * time.Second: 275 * time.Second, 7000 * time.Second: 200 * time.Second,
	} {
		got, ok := h.Promise(at(after))
		require.True(t, ok)
		assert.Equal(t, want, got, "after %s", after)
	}
	_, ok := h.Promise(at(7199 * time.Second))
	assert.False(t, ok)

	r := h.Record.Clone() // a claim that another sidecar wrote 10 s ago
	r.Number, r.Doubt, r.Claim = 6, origin.Add(165*time.Second).Unix(), "id"
	require.True(t, h.Adopt(r, at(100*time.Second)))
	got, _ := h.Promise(at(100 * time.Second))
	assert.Equal(t, 50*time.Second, got, "if its answer is lost, another renewal follows a minute after the claim")
	got, _ = h.Promise(at(500 * time.Second))
	assert.Equal(t, time.Second, got)

	h = holding("a")
	h.Ticket, h.Record.Early = true, 1000
	got, _ = h.Promise(at(0))
	assert.Equal(t, 2300*time.Second, got, "a ticket: until it is due")
}

// An entry lives 3,600 s from the token's issue on, or less if the token does.
func TestEntryLeft_FromTheIssueOn(t *testing.T) {
	h := holding("a")
	assert.Equal(t, 300*time.Second, h.EntryLeft(at(3300*time.Second)))
	assert.Equal(t, -time.Minute, h.EntryLeft(at(3660*time.Second)))
	h.Record.Expires = h.Record.Issued + 600
	assert.Equal(t, 440*time.Second, h.EntryLeft(at(100*time.Second)))
}

// A number is two above every one seen, and at least the Unix milliseconds.
func TestNextNumber_AboveAllSeen(t *testing.T) {
	h := &Held{}
	assert.Equal(t, origin.UnixMilli(), h.NextNumber(at(0)))
	h.Number = origin.UnixMilli() + 100
	assert.Equal(t, origin.UnixMilli()+102, h.NextNumber(at(0)))
}

// What was done on a day is known as long as that day lasts.
func TestDayOf_OnThatDay(t *testing.T) {
	h := &Held{Today: memcache.Day{Date: 20261123, Requests: 3}}
	assert.Equal(t, 3, h.DayOf(20261123).Requests)
	assert.Equal(t, memcache.Day{Date: 20261124}, h.DayOf(20261124))

	newer := record("b", 9, 0)
	newer.Today = memcache.Day{Date: 20261123, Requests: 2}
	h.Adopt(newer, at(0))
	assert.Equal(t, 3, h.Today.Requests, "fewer are older news")
	newer = record("c", 11, 0)
	newer.Today = memcache.Day{Date: 20261123, Requests: 4}
	h.Adopt(newer, at(time.Second))
	assert.Equal(t, 4, h.Today.Requests)
}

// A record is kept as long as its token is valid, and one without a token two hours.
func TestRecordLife_OfEachKind(t *testing.T) {
	h := holding("a")
	assert.Equal(t, 7100*time.Second, h.RecordLife(h.Record, at(100*time.Second)))
	assert.Equal(t, 7140*time.Second, h.RecordLife(record("b", 6, 40*time.Second), at(100*time.Second)), "not held yet")
	assert.Equal(t, 2*time.Hour, h.RecordLife(&memcache.Record{Number: 1}, at(0)))
	assert.Equal(t, time.Second, h.RecordLife(record("b", 6, -3*time.Hour), at(0)))
}

// A stamp is the age of the token that is held.
func TestStamp_OfWhatIsHeld(t *testing.T) {
	h := holding("a")
	r := h.Record.Clone()
	h.Stamp(r, at(100*time.Second+999*time.Millisecond))
	assert.EqualValues(t, 100, r.Age)
	other := record("b", 6, 0)
	h.Stamp(other, at(100*time.Second))
	assert.Zero(t, other.Age)
}

// A token that is held keeps its first sight when its record is written anew, whatever
// the wall clock says by then.
func TestAge_OfARewrittenRecord(t *testing.T) {
	h := holding("a")
	again := h.Record.Clone()
	again.Number = 6
	require.True(t, h.Adopt(again, skewed(100*time.Second, -time.Hour)))
	h.Record = nil
	require.True(t, h.Adopt(again, skewed(100*time.Second, -time.Hour)), "and when it was forgotten")
	assert.Equal(t, 100*time.Second, h.Age(skewed(100*time.Second, -time.Hour)))
}

// A token that names the one held in its past is later, although its number is lower. It
// is held under a number above both, so that a poll writes it, and with the doubt of the
// one before.
func TestAdopt_KnowsALaterTokenByItsPast(t *testing.T) {
	h := &Held{}
	require.True(t, h.Adopt(doubtful("a", 1000, 75*s, "claim"), at(0)))
	later := record("b", 500, 5*s)
	later.Past = []string{memcache.Fingerprint("a")}
	require.True(t, h.Adopt(later, at(10*s)))
	assert.Equal(t, "b", h.Record.Token)
	assert.Greater(t, h.Record.Number, int64(1000))
	assert.Equal(t, h.Record.Number, h.Number)
	assert.Equal(t, Doubt{At: origin.Add(75 * s).Unix(), By: "claim"}, doubtOf(h.Record))
	assert.EqualValues(t, 500, later.Number, "records are shared")

	own := doubtful("c", 400, 0, "own")
	own.Past = []string{memcache.Fingerprint("b")}
	require.True(t, h.Adopt(own, at(20*s)))
	assert.Equal(t, "own", h.Record.Claim, "its own doubt stays")

	for name, other := range map[string]*memcache.Record{"unknown to each other": record("x", 3, 0), "the one before": record("a", 3, 0)} {
		assert.False(t, h.Adopt(other, at(30*s)), name)
	}
}
