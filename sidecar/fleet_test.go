package main

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var fleetFull = flag.Bool("fleet.full", false, "fleets of up to 10,000 sidecars and 10,000 accounts: minutes, and the table of docs/benchmarks.md")

// trial is a fleet to simulate.
type trial struct {
	sidecars, accounts int
	after              time.Duration // how long it goes on after a window without renewals
}

// smallFleets show the laws in seconds.
var smallFleets = []trial{{1, 1, 4 * time.Hour}, {30, 1, 2 * time.Hour}, {1, 300, 2 * time.Hour}, {5, 100, 2 * time.Hour}, {20, 300, 0}}

// fullFleets are as much as two cores get through in minutes. What is not among
// them is worked out, see costs.
var fullFleets = []trial{
	{10, 1, 25 * time.Hour},
	{100, 1, 25 * time.Hour},
	{1000, 1, 4 * time.Hour},
	{10_000, 1, 70 * time.Minute},
	{1, 100, 4 * time.Hour},
	{10, 100, 4 * time.Hour},
	{100, 100, 70 * time.Minute},
	{1000, 100, 0},
	{100, 1000, 0},
	{1, 1000, 4 * time.Hour},
	{1, 10_000, 2 * time.Hour},
	{10, 10_000, 0},
}

const (
	// tokenLife is WeChat's, period the time between two renewals of one account:
	// 3,300 s and the smallest of all sidecars' jitter.
	tokenLife = 7200 * time.Second
	period    = 3300 * time.Second
	// calm is a stretch in which nothing is renewed, lookMean the time between two
	// looks of one sidecar: 10 to 15 s.
	calm     = 5 * time.Minute
	lookMean = 12500 * time.Millisecond
	// lookKeys is how many keys a look asks for at once: 100 accounts' entry and record.
	lookKeys = 200
)

// outcome is what a trial cost.
type outcome struct {
	trial
	startTook   time.Duration // until every sidecar knew that everything is published
	startCost   bill
	startMinute int     // the most calls to WeChat in one minute of the start
	startSecond int     // and in one second
	calmCost    bill    // while nothing was renewed
	afterCost   bill    // in all the time after
	afterCalls  int     // to WeChat in that time
	afterMinute int     // the most of these in one minute
	perDay      float64 // calls to WeChat a day for one account; 0: not seen
}

func (o trial) String() string {
	return fmt.Sprintf("%d sidecars, %d accounts", o.sidecars, o.accounts)
}

// run simulates it.
func (o trial) run(t *testing.T) outcome {
	t.Helper()
	got := outcome{trial: o}
	simulateFleet(t, o.sidecars, o.accounts, tokenLife, func(f *simFleet) {
		got.startTook = f.published()
		got.startCost = f.bill()
		calls := f.callsSince(0)
		got.startMinute, got.startSecond = most(calls, time.Minute), most(calls, time.Second)
		time.Sleep(30 * time.Second) // whoever opened connections to start with lets them go
		got.calmCost = f.during(calm)
		if o.after == 0 {
			return
		}
		from := time.Since(f.began)
		got.afterCost = f.during(o.after)
		later := f.callsSince(from)
		got.afterCalls, got.afterMinute, got.perDay = len(later), most(later, time.Minute), f.perDay()
	})
	return got
}

// TestFleet holds fleets of several sizes to how their cost may grow. With
// -fleet.full it prints what docs/benchmarks.md has of a fleet.
func TestFleet(t *testing.T) {
	t.Parallel()
	trials := smallFleets
	if *fleetFull {
		trials = fullFleets
	}
	var all []outcome
	for _, one := range trials {
		t.Run(one.String(), func(t *testing.T) {
			began := time.Now()
			got := one.run(t)
			got.obeys(t)
			all = append(all, got)
			t.Logf("started in %s (%+v); most calls in a minute of it %d, in a second %d; then in %s: %+v; then in %s: %+v, %d calls, most in a minute %d, %.2f a day for an account. Took %.1f s",
				got.startTook, got.startCost, got.startMinute, got.startSecond, calm, got.calmCost, got.after, got.afterCost, got.afterCalls,
				got.afterMinute, got.perDay, time.Since(began).Seconds())
		})
	}
	c := learn(all)
	t.Logf("the caller of a renewal: %s; every other sidecar: %s", c.caller, c.bystander)
	assert.InDelta(t, 20, c.caller.requests, 5, "requests for a renewal, of the one who calls")
	assert.Less(t, c.bystander.requests, 1.5, "and of every other one")
	for _, got := range all {
		c.explains(t, got)
	}
	if *fleetFull {
		t.Log("\n" + c.table(all))
	}
}

// obeys are the laws: what may grow with the fleet, and what may not.
func (o outcome) obeys(t *testing.T) {
	t.Helper()
	sidecars, accounts := float64(o.sidecars), float64(o.accounts)

	// WeChat: one request for an account, however many sidecars. Each sidecar spreads
	// its start over time, and accounts that were fetched together are renewed apart.
	assert.LessOrEqual(t, o.startSecond, int(worstSecond(o.sidecars, o.accounts)), "calls in the worst second of the start, of all sidecars together")
	assert.LessOrEqual(t, o.startMinute, int(worstMinute(o.sidecars, o.accounts)), "and in the worst minute")
	assert.Less(t, o.startTook, 30*time.Second+time.Duration(o.accounts)*30*time.Millisecond, "the start: 50 requests a second of a sidecar, and a poll of each")
	if o.after > 2*period {
		assert.InDelta(t, 26.1, o.perDay, 0.2, "calls for an account in a day")
	}
	if o.after > 0 {
		assert.LessOrEqual(t, float64(o.afterMinute), laterMinute(o.accounts), "calls in the worst minute after the start")
	}

	// memcached: a look costs one request for 100 accounts, and nobody opens a
	// connection for it; a renewal costs one sidecar some requests, all others about one.
	looks := rate(o.calmCost.requests, calm) / sidecars
	assert.InEpsilon(t, float64(requestsOfALook(o.accounts))/lookMean.Seconds(), looks, 0.15, "requests of a sidecar in a second")
	assert.Equal(t, 2*o.accounts*o.calmCost.requests/requestsOfALook(o.accounts), o.calmCost.keys, "keys")
	assert.Zero(t, o.calmCost.writes, "writes while nothing is renewed")
	assert.LessOrEqual(t, o.calmCost.dials, o.sidecars/100, "connections opened while nothing is renewed")
	assert.LessOrEqual(t, o.calmCost.open, 2*o.sidecars, "connections open: one for a sidecar, at most two")
	if o.afterCalls > 0 {
		assert.InDelta(t, 9, float64(o.afterCost.writes)/float64(o.afterCalls), 0.5, "writes for a renewal")
	}
	assert.Less(t, float64(o.startCost.requests), accounts*(25+sidecars*12)+sidecars*20, "requests of a start")
}

// requestsOfALook is how many a look at so many accounts takes.
func requestsOfALook(accounts int) int { return (2*accounts + lookKeys - 1) / lookKeys }

// TestAnOutageOfWeChatCostsMemcachedLittle: what is overdue is tried once a minute
// by one sidecar, and the others neither try nor ask at every look.
func TestAnOutageOfWeChatCostsMemcachedLittle(t *testing.T) {
	t.Parallel()
	const sidecars, accounts, perTry, perBystander = 10, 20, 21, 4
	simulateFleet(t, sidecars, accounts, tokenLife, func(f *simFleet) {
		f.published()
		time.Sleep(period - time.Minute)
		f.refuse(-1)
		time.Sleep(6 * time.Minute)
		began := time.Since(f.began)
		cost := f.during(10 * time.Minute)
		tries := len(f.callsSince(began))
		assert.LessOrEqual(t, tries, 10*accounts, "calls: at most one a minute for an account")
		assert.GreaterOrEqual(t, tries, 3*accounts, "they go on")
		looks := rate(cost.looks, 10*time.Minute)
		most := looks + accounts*(perTry+sidecars*perBystander)/60.0
		assert.Less(t, rate(cost.requests, 10*time.Minute), most, "requests a second")
		t.Logf("requests a second: %.1f, %.1f at rest; %d calls", rate(cost.requests, 10*time.Minute), looks, tries)

		time.Sleep(30 * time.Minute)
		for _, account := range f.accounts {
			_, there := f.memcached.Peek(account.AppID)
			assert.True(t, there, "the entry is there an hour after it was due")
		}
		f.refuse(0)
		healed := time.Since(f.began)
		time.Sleep(2 * time.Minute)
		assert.Len(t, f.callsSince(healed), accounts, "one call each")
	})
}
