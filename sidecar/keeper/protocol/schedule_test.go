package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const s = time.Second

// An entry lives an hour, and ends a minute before its credential.
func TestEntryLife_AnHourOrLess(t *testing.T) {
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
		assert.Equal(t, c.want, EntryLife(c.life, c.left), "life %s, left %s", c.life, c.left)
	}
}

// A credential is due before its entry expires.
func TestDueAfter_BeforeTheEntryExpires(t *testing.T) {
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
		got := DueAfter(c.life, c.spread)
		assert.Equal(t, c.want, got, "life %s, spread %g", c.life, c.spread)
		assert.Less(t, got, EntryLife(c.life, c.life), "life %s", c.life)
	}
}

// A promise is what WeChat keeps. A ticket is promised until it is due.
func TestPromise_OfANumber(t *testing.T) {
	for _, c := range []struct{ life, age, doubt, want time.Duration }{
		{7200 * s, 0, -1, 3575 * s},
		{7200 * s, 3300 * s, -1, 275 * s},
		{7200 * s, 3400 * s, -1, 275 * s}, // overdue: WeChat fails, no other sidecar renews either
		{7200 * s, 6925 * s, -1, 275 * s},
		{7200 * s, 6926 * s, -1, 274 * s},
		{7200 * s, 7199 * s, -1, 1 * s},
		{7200 * s, 0, 300 * s, 300 * s},
		{7200 * s, 0, 225 * s, 225 * s},
		{7200 * s, 0, 0, 1 * s},
		{20 * s, 0, -1, 20 * s},
		{600 * s, 0, -1, 580 * s},
	} {
		assert.Equal(t, c.want, promise(c.life, DueAfter(c.life, 0), c.age, c.doubt), "life %s, age %s, doubt %s", c.life, c.age, c.doubt)
	}
	assert.Equal(t, 10*s, promiseOfTicket(30*s, 20*s))
	assert.Equal(t, s, promiseOfTicket(30*s, 40*s))
}

// A little of each life is not used.
func TestSlack_OfALife(t *testing.T) {
	assert.Equal(t, 2*s, Slack(7200*s))
	assert.Equal(t, 2*s, Slack(40*s))
	assert.Equal(t, s, Slack(20*s))
}

// What was fetched together is renewed apart.
func TestEarly_Scatters(t *testing.T) {
	for _, c := range []struct {
		life   time.Duration
		count  int
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
		assert.Equal(t, c.want, Early(c.life, c.count, c.spread), "life %s, %d credentials", c.life, c.count)
	}
}

// What WeChat returns again with little life left is kept to its end. A ticket is requested
// again two seconds after that, a token at half of what is left.
func TestAgain_LittleLifeLeft(t *testing.T) {
	assert.True(t, IsAgain(true, 299*s))
	assert.False(t, IsAgain(true, 300*s), "not little")
	assert.False(t, IsAgain(false, 5*s), "a new one")
	for _, c := range []struct {
		life   time.Duration
		ticket bool
		spread float64
		want   time.Duration
	}{
		{295 * s, true, 0, 297 * s},
		{295 * s, true, 1, 297 * s},
		{1 * s, true, 0.5, 3 * s},
		{298 * s, false, 0, 149 * s},
		{200 * s, false, 1, 110 * s},
		{20 * s, false, 0, 10 * s},
		{7 * s, false, 0, 10 * s},
	} {
		assert.Equal(t, c.want, AgainAfter(c.life, c.ticket, c.spread), "life %s, ticket %t, spread %g", c.life, c.ticket, c.spread)
	}
}

// Polls are 10 to 15 s apart. A sidecar that waits for another reads less often the
// longer it takes.
func TestPollEvery_AndAwaitEvery(t *testing.T) {
	assert.Equal(t, 10*s, PollEvery(0))
	assert.Equal(t, 15*s, PollEvery(1))
	for _, c := range []struct{ waited, least, most time.Duration }{
		{0, 50 * time.Millisecond, 250 * time.Millisecond},
		{s, 50 * time.Millisecond, 250 * time.Millisecond},
		{2 * s, 100 * time.Millisecond, 500 * time.Millisecond},
		{10 * s, 500 * time.Millisecond, 2500 * time.Millisecond},
	} {
		assert.Equal(t, c.least, AwaitEvery(0, c.waited), "after %s", c.waited)
		assert.Equal(t, c.most, AwaitEvery(1, c.waited), "after %s", c.waited)
	}
}
