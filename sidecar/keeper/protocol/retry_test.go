package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// All sidecars wait by the class of the failure.
func TestCooldown_ByClass(t *testing.T) {
	night := time.Date(2026, 11, 22, 15, 59, 48, 0, time.UTC) // 23:59:48 in Beijing
	for _, c := range []struct {
		failure Failure
		tries   int
		spread  float64
		wall    time.Time
		want    time.Duration
	}{
		{Failure{}, 1, 0.5, night, 1 * s},
		{Failure{}, 1, 0, night, 900 * time.Millisecond},
		{Failure{}, 1, 1, night, 1100 * time.Millisecond},
		{Failure{}, 0, 0.5, night, 1 * s},
		{Failure{}, 2, 0.5, night, 2 * s},
		{Failure{}, 6, 0.5, night, 32 * s},
		{Failure{}, 7, 0.5, night, 60 * s},
		{Failure{}, 1000, 0.5, night, 60 * s},
		{Failure{Lost: true}, 1, 0.5, night, 15 * s},
		{Failure{Lost: true}, 7, 0.5, night, 60 * s},
		{Failure{Class: Minute}, 1, 0, night, 12 * s},
		{Failure{Class: Minute}, 9, 0, night.Truncate(time.Minute), 60 * s},
		{Failure{Class: Day}, 1, 0, night, 12 * s},
		{Failure{Class: Day}, 1, 0, night.Add(-time.Hour), time.Hour},
		{Failure{Class: Day}, 1, 0, night.Add(time.Minute), time.Hour},
		{Failure{Class: Person}, 5, 0, night, 61 * s},
		{Failure{Class: Defect}, 1, 0, night, 61 * s},
		{Failure{Class: Refused}, 2, 0.5, night, 2 * s},
		{Failure{Class: Timed, Wait: 24 * time.Hour}, 1, 0, night, 24 * time.Hour},
	} {
		got := Cooldown(c.failure, c.tries, 14*s, Now{Wall: c.wall}, c.spread)
		assert.InDelta(t, c.want, got, float64(time.Millisecond), "%+v, try %d, at %s", c.failure, c.tries, c.wall)
	}
}

// While a token is valid, two renewals in ten minutes are handed over. While none is,
// five are, and a failure to connect needs no count.
func TestHandovers_ByWhatIsValid(t *testing.T) {
	notListed, unsent := Failure{Class: Person, Local: true}, Failure{Local: true, Unsent: true}
	assert.Equal(t, 2, Handovers(notListed, true))
	assert.Equal(t, 2, Handovers(unsent, true))
	assert.Equal(t, 5, Handovers(notListed, false))
	assert.Equal(t, 0, Handovers(unsent, false))
}

// A sidecar that fails alone lets the others renew, and takes its turn after them.
func TestYield_ToTheOthers(t *testing.T) {
	notListed, unsent := Failure{Class: Person, Local: true}, Failure{Local: true, Unsent: true}
	for name, c := range map[string]struct {
		failure      Failure
		valid, ok    bool
		streak       int
		usual, entry time.Duration
		want         Retry
	}{
		"the first":                          {notListed, true, true, 0, 61 * s, 300 * s, Retry{Own: 20 * s}},
		"the second":                         {notListed, true, true, 1, 61 * s, 300 * s, Retry{Own: 40 * s}},
		"the fourth":                         {unsent, true, true, 3, s, 300 * s, Retry{Own: 160 * s}},
		"up to a minute before the end":      {unsent, true, true, 4, s, 300 * s, Retry{Own: 240 * s}},
		"five minutes at most":               {unsent, true, true, 30, s, 3600 * s, Retry{Own: 300 * s}},
		"too many handovers":                 {notListed, true, false, 0, 61 * s, 300 * s, Retry{All: 75 * s, Own: 95 * s}},
		"too many, again":                    {notListed, true, false, 9, 61 * s, 3600 * s, Retry{All: 75 * s, Own: 375 * s}},
		"the entry ends in 70 s":             {notListed, true, true, 3, 61 * s, 70 * s, Retry{Own: 61 * s}},
		"the entry ends, a failure to dial":  {unsent, true, true, 3, 2 * s, 30 * s, Retry{Own: 2 * s}},
		"none valid, not listed":             {notListed, false, true, 0, 61 * s, 0, Retry{Own: 20 * s}},
		"none valid, not listed, again":      {notListed, false, true, 1, 61 * s, 0, Retry{Own: 40 * s}},
		"none valid, not listed, often":      {notListed, false, true, 9, 61 * s, 0, Retry{Own: 61 * s}},
		"none valid, too many":               {notListed, false, false, 3, 61 * s, 0, Retry{All: 120 * s, Own: 140 * s}},
		"none valid, a failure to dial":      {unsent, false, true, 3, 2 * s, 0, Retry{Own: 2 * s}},
		"none valid, dialled often":          {unsent, false, true, 9, 60 * s, 0, Retry{Own: 4 * s}},
		"none valid, dialled, no count kept": {unsent, false, false, 9, 60 * s, 0, Retry{Own: 4 * s}},
	} {
		assert.Equal(t, c.want, Yield(c.failure, c.valid, c.ok, c.streak, c.usual, c.entry), name)
	}
}

// All requests of a fleet that is off the whitelist stay within the budget: those that
// are handed over, the one that makes all wait, and one after each wait.
func TestYield_KeepsTheBudget(t *testing.T) {
	notListed := Failure{Class: Person, Local: true}
	for valid, handovers := range map[bool]int{true: HandoversValid, false: HandoversNone} {
		wait := Yield(notListed, valid, false, 0, 61*s, 300*s).All
		assert.LessOrEqual(t, handovers+int(BudgetWindow/wait), Budget, "a token is valid: %t", valid)
	}
}

// A cooldown that lasts longer than its writer can have meant is taken over.
func TestCooldownMost_ByClass(t *testing.T) {
	for _, c := range []struct {
		class Class
		wait  time.Duration
		want  time.Duration
	}{
		{Transient, 0, 130 * s},
		{Person, 0, 130 * s},
		{Minute, 0, 120 * s},
		{Day, 0, time.Hour},
		{Timed, 0, time.Hour},
		{Timed, time.Minute, time.Hour},
		{Timed, 24 * time.Hour, 24 * time.Hour},
		{"written by hand", 0, 130 * s},
	} {
		assert.Equal(t, c.want, CooldownMost(c.class, c.wait), "%s %s", c.class, c.wait)
	}
}

// After a force_refresh whose answer was lost WeChat is asked again. The limit of a
// minute, and a request that was not sent, leave the next force_refresh free.
func TestAfterForce_ByClass(t *testing.T) {
	for _, c := range []struct {
		failure Failure
		want    ForceNext
	}{
		{Failure{Class: Unanswered}, ForceNext{AskAgain: true}},
		{Failure{Class: Minute}, ForceNext{GiveBack: true}},
		{Failure{Class: Unreached, Unsent: true, Local: true}, ForceNext{GiveBack: true}},
		{Failure{Class: Day}, ForceNext{}},
		{Failure{Class: Transient}, ForceNext{}},
		{Failure{Class: Person, Local: true}, ForceNext{}},
	} {
		assert.Equal(t, c.want, AfterForce(c.failure), "%+v", c.failure)
	}
}
