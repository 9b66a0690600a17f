package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A process sends ten unplanned requests in any ten minutes.
func TestSpent_TenInTenMinutes(t *testing.T) {
	start := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	at := func(after time.Duration) Now { return Now{Mono: start.Add(after)} }
	var s Spent
	for i := range Budget {
		assert.True(t, s.Spend(at(time.Duration(i)*time.Minute)), i)
	}
	for _, c := range []struct {
		after time.Duration
		ok    bool
	}{
		{9 * time.Minute, false},
		{BudgetWindow - 1, false},
		{BudgetWindow, true}, // the first one is ten minutes old
		{BudgetWindow, false},
		{BudgetWindow + time.Minute, true},
		{BudgetWindow + time.Minute, false},
		{24 * time.Hour, true},
	} {
		assert.Equal(t, c.ok, s.Spend(at(c.after)), c.after)
	}

	s = Spent{}
	s.GiveBack() // nothing was taken
	for range Budget {
		assert.True(t, s.Spend(at(0)))
	}
	s.GiveBack()
	assert.True(t, s.Spend(at(0)), "what was given back is free")
	assert.False(t, s.Spend(at(0)))
}

// Ten requests in ten minutes are planned because WeChat returned the token again: anybody
// who can write to memcached can say so of each token.
func TestSpent_AgainInTenMinutes(t *testing.T) {
	start := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	at := func(after time.Duration) Now { return Now{Mono: start.Add(after)} }
	var s Spent
	for i := range Budget {
		assert.True(t, s.Plan(0, at(time.Duration(i)*time.Second)), i)
	}
	assert.False(t, s.Plan(0, at(10*time.Second)))
	assert.True(t, s.Plan(time.Hour, at(10*time.Second)), "that of another token is free")
	assert.True(t, s.Spend(at(10*time.Second)), "so are unplanned ones")
	assert.False(t, s.Plan(0, at(BudgetWindow-1)))
	assert.True(t, s.Plan(0, at(BudgetWindow)), "the first one is ten minutes old")
}

// A reported token is checked once in 30 s.
func TestSpent_Check(t *testing.T) {
	start := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	var s Spent
	for _, c := range []struct {
		after time.Duration
		ok    bool
	}{{0, true}, {0, false}, {30*time.Second - 1, false}, {30 * time.Second, true}, {31 * time.Second, false}, {time.Hour, true}} {
		assert.Equal(t, c.ok, s.Check(Now{Mono: start.Add(c.after)}), c.after)
	}
}

// A planned request and a force_refresh are free once in their time.
func TestSpent_PlanAndForce(t *testing.T) {
	start := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for name, take := range map[string]func(*Spent, time.Duration, Now) bool{"plan": (*Spent).Plan, "force": (*Spent).Force} {
		var s Spent
		for _, c := range []struct {
			after time.Duration
			ok    bool
		}{{0, true}, {0, false}, {time.Hour - 1, false}, {time.Hour, true}, {2*time.Hour - 1, false}, {100 * time.Hour, true}} {
			assert.Equal(t, c.ok, take(&s, time.Hour, Now{Mono: start.Add(c.after)}), "%s %s", name, c.after)
		}
	}
}
