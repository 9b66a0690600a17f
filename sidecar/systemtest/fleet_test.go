package systemtest

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

var fleetFull = flag.Bool("fleet.full", false, "up to 1,000 sidecars and 10,000 accounts: minutes, and a table of what they cost")

// trial is a fleet to simulate.
type trial struct {
	sidecars, accounts int
	after              time.Duration // how long it continues after a time without renewals
}

// smallFleets take seconds.
var smallFleets = []trial{{1, 1, 4 * time.Hour}, {30, 1, 2 * time.Hour}, {1, 300, 2 * time.Hour}, {5, 100, 2 * time.Hour}, {20, 300, 0}}

// fullFleets take minutes on two cores.
var fullFleets = []trial{
	{10, 1, 25 * time.Hour},
	{100, 1, 25 * time.Hour},
	{1000, 1, 4 * time.Hour},
	{10, 100, 4 * time.Hour},
	{100, 100, 70 * time.Minute},
	{1, 1000, 4 * time.Hour},
	{1, 10_000, 2 * time.Hour},
}

const (
	// tokenLife is WeChat's. period is the time between two renewals of one account:
	// 3,300 s and the smallest jitter of all sidecars.
	tokenLife = 7200 * time.Second
	period    = 3300 * time.Second
	// calm is a time in which nothing is renewed. meanPoll is the mean time between two
	// polls of one sidecar: 10 to 15 s.
	calm     = 5 * time.Minute
	meanPoll = 12500 * time.Millisecond
	// pollKeys is how many keys one request of a poll has: entry and record of 100 accounts.
	pollKeys = 200
)

// outcome is what a trial cost.
type outcome struct {
	trial
	startTook   time.Duration // until every sidecar knew that everything is published
	startCost   cost
	startMinute int     // the most requests to WeChat in one minute of the start
	startSecond int     // and in one second
	calmCost    cost    // while nothing was renewed
	afterCost   cost    // in all the time after
	renewals    int     // in that time
	afterMinute int     // the most of these in one minute
	perDay      float64 // requests to WeChat a day for one account; 0: not seen
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
		got.startCost = f.cost()
		requests := f.requestsSince(0)
		got.startMinute, got.startSecond = most(requests, time.Minute), most(requests, time.Second)
		time.Sleep(30 * time.Second) // idle connections of the start are closed
		got.calmCost = f.during(calm)
		if o.after == 0 {
			return
		}
		from := time.Since(f.began)
		got.afterCost = f.during(o.after)
		later := f.requestsSince(from)
		got.renewals, got.afterMinute, got.perDay = len(later), most(later, time.Minute), f.perDay()
	})
	return got
}

// The cost of a fleet grows with its size as the laws below say. With -fleet.full the
// test prints a table.
func TestFleet_CostGrowsByLaw(t *testing.T) {
	t.Parallel()
	trials := smallFleets
	if *fleetFull {
		trials = fullFleets
	}
	table := []string{"| sidecars | accounts | requests to WeChat for an account in a day | most in a second, a minute of the start, a minute later | memcached: requests in a second | bytes from it in a second | connections |", "|--:|--:|--:|--:|--:|--:|--:|"}
	for _, one := range trials {
		t.Run(one.String(), func(t *testing.T) {
			got := one.run(t)
			got.obeys(t)
			t.Logf("%+v", got)
			table = append(table, got.row())
		})
	}
	if *fleetFull {
		t.Log("\n" + strings.Join(table, "\n"))
	}
}

// row is a line of the table.
func (o outcome) row() string {
	return fmt.Sprintf("| %d | %d | %.1f | %d, %d, %d | %.2f | %.0f | %d |", o.sidecars, o.accounts, o.perDay, o.startSecond, o.startMinute, o.afterMinute,
		rate(o.afterCost.requests, o.after), rate(o.afterCost.out, o.after), o.calmCost.open)
}

// obeys checks the laws: what can grow with the fleet, and what cannot.
func (o outcome) obeys(t *testing.T) {
	t.Helper()
	sidecars, accounts := float64(o.sidecars), float64(o.accounts)

	// WeChat gets one request per account, whatever the number of sidecars. A sidecar
	// starts with 50 requests and makes 50 a second; the accounts' renewals spread.
	assert.LessOrEqual(t, o.startSecond, min(o.accounts, 100*o.sidecars), "requests to WeChat in the worst second of the start")
	assert.LessOrEqual(t, o.startMinute, min(o.accounts, 61*50*o.sidecars), "and in the worst minute")
	assert.Less(t, o.startTook, 30*time.Second+time.Duration(o.accounts)*30*time.Millisecond, "the start: 50 requests a second of a sidecar, and a poll of each")
	if o.after > 2*period {
		assert.InDelta(t, 26.1, o.perDay, 0.2, "requests for an account in a day")
	}
	if o.after > 0 {
		assert.LessOrEqual(t, float64(o.afterMinute), mostInAMinute(o.accounts), "requests in the worst minute after the start")
	}

	// memcached: a poll costs one request per 100 accounts and opens no connection. A
	// renewal costs its sidecar some 20 requests, and every other one about one.
	polls := rate(o.calmCost.requests, calm) / sidecars
	perSecond := float64(requestsOfAPoll(o.accounts)) / meanPoll.Seconds()
	assert.InEpsilon(t, perSecond, polls, 0.15, "requests of a sidecar in a second")
	assert.Equal(t, 2*o.accounts*o.calmCost.requests/requestsOfAPoll(o.accounts), o.calmCost.keys, "keys")
	assert.Zero(t, o.calmCost.writes, "writes while nothing is renewed")
	assert.LessOrEqual(t, o.calmCost.dials, o.sidecars/100, "connections opened while nothing is renewed")
	assert.LessOrEqual(t, o.calmCost.open, 2*o.sidecars, "connections open: one per sidecar, at most two")
	if o.renewals > 0 {
		renewals := float64(o.renewals)
		assert.InDelta(t, 9, float64(o.afterCost.writes)/renewals, 0.5, "writes for a renewal")
		assert.Less(t, float64(o.afterCost.requests), 1.15*perSecond*sidecars*o.after.Seconds()+renewals*(25+1.5*(sidecars-1)), "requests for polls and renewals")
	}
	assert.Less(t, float64(o.startCost.requests), accounts*(25+sidecars*12)+sidecars*20, "requests of a start")
	bytesPerAccount := float64(o.calmCost.out) / (float64(o.calmCost.keys) / 2)
	assert.Less(t, bytesPerAccount, 600.0, "bytes from memcached for an account in a poll")
}

// mostInAMinute is the bound of requests in a minute of renewals after a common start:
// accounts that start together spread over 0.3 s each, at most over half a period. By
// chance a minute has a quarter more.
func mostInAMinute(accounts int) float64 {
	spread := min(time.Duration(accounts)*300*time.Millisecond, period/2)
	return float64(accounts) * min(1, 1.25*time.Minute.Seconds()/spread.Seconds())
}

// requestsOfAPoll is how many requests a poll of so many accounts takes.
func requestsOfAPoll(accounts int) int { return (2*accounts + pollKeys - 1) / pollKeys }

// rate is a count per second.
func rate(n int, d time.Duration) float64 {
	if d == 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// While WeChat fails, one sidecar tries an overdue account once a minute. The others
// neither try nor read more often.
func TestFleet_WeChatOutageCostsLittle(t *testing.T) {
	t.Parallel()
	const sidecars, accounts, perTry, perBystander = 10, 20, 21, 4
	simulateFleet(t, sidecars, accounts, tokenLife, func(f *simFleet) {
		f.published()
		time.Sleep(period - time.Minute)
		f.refuse(-1)
		time.Sleep(6 * time.Minute)
		began := time.Since(f.began)
		cost := f.during(10 * time.Minute)
		tries := len(f.requestsSince(began))
		assert.LessOrEqual(t, tries, 10*accounts, "requests: at most one a minute for an account")
		assert.GreaterOrEqual(t, tries, 3*accounts, "they continue")
		polls := rate(cost.polls, 10*time.Minute)
		limit := polls + accounts*(perTry+sidecars*perBystander)/60.0
		assert.Less(t, rate(cost.requests, 10*time.Minute), limit, "requests a second")
		t.Logf("requests a second: %.1f, %.1f without the outage; %d requests to WeChat", rate(cost.requests, 10*time.Minute), polls, tries)

		time.Sleep(30 * time.Minute)
		for _, account := range f.accounts {
			_, there := f.memcached.Peek(account.AppID)
			assert.True(t, there, "the entry is there an hour after it was due")
		}
		synctest.Wait() // requests of this instant are refused
		f.refuse(0)
		healed := time.Since(f.began) + 1
		time.Sleep(2 * time.Minute)
		assert.Len(t, f.requestsSince(healed), accounts, "one request each")
	})
}
