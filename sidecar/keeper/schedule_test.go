package keeper

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

const s = time.Second

func TestTheEntryLivesAnHourOrLess(t *testing.T) {
	for _, c := range []struct{ life, left, want time.Duration }{
		{7200 * s, 7200 * s, 3600 * s},
		{7200 * s, 3661 * s, 3600 * s},
		{7200 * s, 3660 * s, 3600 * s},
		{7200 * s, 3659 * s, 3599 * s},
		{7200 * s, 61 * s, 1 * s},
		{7200 * s, 61*s - 1, 0},
		{7200 * s, 30 * s, -30 * s},
		{600 * s, 600 * s, 540 * s},
		{20 * s, 20 * s, 18 * s},
		{10 * s, 10 * s, 9 * s},
	} {
		assert.Equal(t, c.want, entryLife(c.life, c.left), "life %s, left %s", c.life, c.left)
	}
}

func TestATokenIsDueBeforeItsEntryLapses(t *testing.T) {
	for _, c := range []struct {
		life   time.Duration
		spread float64
		want   time.Duration
	}{
		{7200 * s, 0, 3300 * s},
		{7200 * s, 1, 3330 * s},
		{3900 * s, 0, 3300 * s}, // stable_token, the second time
		{3594 * s, 0, 3299 * s},
		{600 * s, 0, 305 * s}, // stable_token, the third: the next one is there at 300 s
		{600 * s, 1, 335 * s},
		{590 * s, 0, 295 * s},
		{100 * s, 1, 55 * s},
		{20 * s, 0, 10 * s},
		{20 * s, 1, 11 * s},
		{10 * s, 0.5, 5250 * time.Millisecond},
	} {
		got := dueAfter(c.life, c.spread)
		assert.Equal(t, c.want, got, "life %s, spread %g", c.life, c.spread)
		assert.Less(t, got, entryLife(c.life, c.life), "life %s", c.life)
	}
}

func TestThePromiseIsWhatWeChatKeeps(t *testing.T) {
	for _, c := range []struct{ life, age, doubtFor, want time.Duration }{
		{7200 * s, 0, -1, 3575 * s},
		{7200 * s, 3300 * s, -1, 275 * s},
		{7200 * s, 3400 * s, -1, 275 * s}, // overdue: WeChat is down, nobody else renews either
		{7200 * s, 6925 * s, -1, 275 * s},
		{7200 * s, 6926 * s, -1, 274 * s},
		{7200 * s, 7199 * s, -1, 1 * s},
		{7200 * s, 0, 0, 300 * s},
		{7200 * s, 0, 75 * s, 225 * s},
		{7200 * s, 0, 400 * s, 1 * s},
		{20 * s, 0, -1, 20 * s},
		{600 * s, 0, -1, 580 * s},
	} {
		assert.Equal(t, c.want, promise(c.life, dueAfter(c.life, 0), c.age, c.doubtFor), "life %s, age %s, in doubt for %s", c.life, c.age, c.doubtFor)
	}
}

func TestTheFleetWaitsByTheClassOfTheFailure(t *testing.T) {
	at := time.Date(2026, 11, 22, 15, 59, 48, 0, time.UTC) // 23:59:48 in Beijing
	for _, c := range []struct {
		class  wechat.Class
		tries  int
		spread float64
		now    time.Time
		want   time.Duration
	}{
		{wechat.Transient, 1, 0.5, at, 1 * s},
		{wechat.Transient, 1, 0, at, 900 * time.Millisecond},
		{wechat.Transient, 1, 1, at, 1100 * time.Millisecond},
		{wechat.Transient, 2, 0.5, at, 2 * s},
		{wechat.Transient, 6, 0.5, at, 32 * s},
		{wechat.Transient, 7, 0.5, at, 60 * s},
		{wechat.Transient, 1000, 0.5, at, 60 * s},
		{wechat.Minute, 1, 0, at, 12 * s},
		{wechat.Minute, 9, 0, at.Truncate(time.Minute), 60 * s},
		{wechat.Day, 1, 0, at, 12 * s},
		{wechat.Day, 1, 0, at.Add(-time.Hour), time.Hour},
		{wechat.Day, 1, 0, at.Add(time.Minute), time.Hour},
		{wechat.Person, 5, 0, at, 61 * s},
		{wechat.Defect, 5, 0, at, 61 * s},
		{wechat.Timed, 1, 0, at, 24 * time.Hour},
	} {
		got := waitFor(&wechat.Error{Class: c.class, Wait: 24 * time.Hour}, c.tries, c.now, c.spread)
		assert.InDelta(t, c.want, got, float64(time.Millisecond), "%s, try %d, at %s", c.class, c.tries, c.now)
	}
}

func TestATokenIsAsOldAsTheMorePessimisticClockSays(t *testing.T) {
	now := time.Now()
	wall := func() time.Time { return now }
	m := memory{record: &memcache.Record{Token: "t", Issued: now.Unix() - 100, Expires: now.Unix() + 7100}, since: now}
	assert.InDelta(t, 100*s, m.age(wall), float64(s))
	m.since = now.Add(-200 * s)
	assert.InDelta(t, 200*s, m.age(wall), float64(s), "the wall clock was set back")
	m.record.Issued = now.Unix() + 50
	m.since = now
	assert.InDelta(t, 0, m.age(wall), float64(s), "the issuer's clock is ahead")
}

func TestADeadRecordIsForgottenAndItsNumberKept(t *testing.T) {
	now := time.Now()
	wall := func() time.Time { return now }
	live := func(token string, number int64) *memcache.Record {
		return &memcache.Record{Token: token, Number: number, Issued: now.Unix() - 10, Expires: now.Unix() + 7190}
	}
	var m memory
	assert.False(t, m.adopt(nil, wall))
	assert.True(t, m.adopt(live("a", 5), wall))
	assert.False(t, m.adopt(live("b", 4), wall), "older")
	assert.False(t, m.adopt(live("b", 5), wall), "the same")
	assert.True(t, m.adopt(live("b", 6), wall))
	assert.False(t, m.adopt(&memcache.Record{Number: 9}, wall), "newer, without a token")
	assert.True(t, m.live(wall), "mine goes on")
	assert.Equal(t, int64(9), m.number)
	now = now.Add(2 * time.Hour)
	assert.False(t, m.live(wall))
	assert.True(t, m.adopt(live("c", 2), wall), "live where mine is dead")
	assert.GreaterOrEqual(t, m.nextNumber(wall), now.UnixMilli())
}

func TestWhoWaitsForAnotherAsksLessOftenTheLongerItTakes(t *testing.T) {
	for _, c := range []struct {
		waited, least, most time.Duration
	}{
		{0, 50 * time.Millisecond, 250 * time.Millisecond},
		{s, 50 * time.Millisecond, 250 * time.Millisecond},
		{2 * s, 100 * time.Millisecond, 500 * time.Millisecond},
		{10 * s, 500 * time.Millisecond, 2500 * time.Millisecond},
	} {
		assert.Equal(t, c.least, pollEvery(0, c.waited), "after %s", c.waited)
		assert.Equal(t, c.most, pollEvery(1, c.waited), "after %s", c.waited)
	}
}

func TestWhatWasFetchedTogetherIsRenewedApart(t *testing.T) {
	for _, c := range []struct {
		life   time.Duration
		kept   int
		spread float64
		want   time.Duration
	}{
		{7200 * s, 1, 1, 0},
		{7200 * s, 3, 1, 0},
		{7200 * s, 100, 0, 0},
		{7200 * s, 100, 0.5, 15 * s},
		{7200 * s, 100, 1, 30 * s},
		{7200 * s, 10_000, 1, 1650 * s},
		{20 * s, 10_000, 1, 5 * s},
	} {
		assert.Equal(t, c.want, early(c.life, c.kept, c.spread), "life %s, %d kept", c.life, c.kept)
	}
}

func TestARecordIsDueAndPromisedAsMuchEarlierAsItSays(t *testing.T) {
	now := time.Now()
	wall := func() time.Time { return now }
	m := memory{record: &memcache.Record{Token: "t", Issued: now.Unix(), Expires: now.Unix() + 7200, Early: 1000}, since: now}
	assert.InDelta(t, 2300*s, m.dueIn(wall, 0), float64(s))
	got, ok := m.grant(wall)
	assert.True(t, ok)
	assert.InDelta(t, 2575*s, got.ExpiresIn, float64(s))
	m.ticket = true
	got, _ = m.grant(wall)
	assert.InDelta(t, 2300*s, got.ExpiresIn, float64(s))
}

// aged is a memory of a token of two hours that is so old.
func aged(now time.Time, age time.Duration) memory {
	issued := now.Add(-age).Unix()
	return memory{record: &memcache.Record{Token: "t", Issued: issued, Expires: issued + 7200}, since: now}
}

func TestARenewalIsOnTimeOnlyWhereItWasPlanned(t *testing.T) {
	now := time.Now()
	wall := func() time.Time { return now }
	for _, c := range []struct {
		name   string
		age    time.Duration
		change func(*memory)
		want   bool
	}{
		{"due", 3310 * s, func(*memory) {}, true},
		{"not due", 3000 * s, func(*memory) {}, false},
		{"late, as after an outage", 3400 * s, func(*memory) {}, false},
		{"in doubt", 3310 * s, func(m *memory) { m.record.Doubt = now.Unix() - 1 }, false},
		{"rejected", 3310 * s, func(m *memory) { m.rejected = memcache.Fingerprint("t") }, false},
		{"none", 3310 * s, func(m *memory) { m.record = nil }, false},
		{"dead", 7300 * s, func(*memory) {}, false},
	} {
		m := aged(now, c.age)
		c.change(&m)
		assert.Equal(t, c.want, m.onTime(wall), c.name)
	}
}
