package main

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// load is what memcached is asked for: of one look, one renewal, or in a second.
type load struct{ requests, keys, in, out float64 }

func (l load) plus(other load) load {
	return load{l.requests + other.requests, l.keys + other.keys, l.in + other.in, l.out + other.out}
}

func (l load) times(n float64) load { return load{l.requests * n, l.keys * n, l.in * n, l.out * n} }

func (b bill) load() load {
	return load{float64(b.requests), float64(b.keys), float64(b.in), float64(b.out)}
}

// What the text protocol adds to the keys: "gets" and its line's end, "END".
const inRequest, outRequest = 6.0, 5.0

// costs is what the trials teach: what one key of a look costs, and one renewal.
// From it follows the cost of a fleet of any size, see at.
type costs struct {
	inKey, outKey float64 // bytes for a key that a look asks for
	caller        load    // a renewal, for the sidecar that calls WeChat
	bystander     load    // the same renewal, for every other one
}

// learn takes the cost of a key from the trial that asked for most, and the number
// of requests for a renewal from those with the fewest and with the most sidecars: a
// straight line. The bytes of a renewal are too few beside those of the looks to be
// told from them. For the caller they are those of a first call, from the start of
// one sidecar with many accounts; all others read a record each time.
func learn(all []outcome) costs {
	var c costs
	big, alone, few, many := 0, 0, -1, -1
	for i, o := range all {
		if o.calmCost.keys > all[big].calmCost.keys {
			big = i
		}
		if o.sidecars == 1 && o.accounts > all[alone].accounts {
			alone = i
		}
		if o.afterCalls == 0 {
			continue
		}
		if few < 0 || o.sidecars < all[few].sidecars {
			few = i
		}
		if many < 0 || o.sidecars > all[many].sidecars {
			many = i
		}
	}
	keys, requests := float64(all[big].calmCost.keys), float64(all[big].calmCost.requests)
	c.inKey = (float64(all[big].calmCost.in) - requests*inRequest) / keys
	c.outKey = (float64(all[big].calmCost.out) - requests*outRequest) / keys

	lower, upper := c.renewal(all[few]), c.renewal(all[many])
	c.bystander = upper.plus(lower.times(-1)).times(1 / float64(all[many].sidecars-all[few].sidecars))
	c.caller = lower.plus(c.bystander.times(-float64(all[few].sidecars - 1)))
	first := all[alone].startCost.load().times(1 / float64(all[alone].accounts))
	c.caller.in, c.caller.out = first.in, first.out
	c.bystander.in = c.bystander.requests * (c.inKey + inRequest)
	c.bystander.out = c.bystander.requests * (2*c.outKey + outRequest) // most of an account's two keys is the record
	return c
}

// A record grows by the fingerprint of each earlier token, up to eight: ,"9f86d081".
const fingerprintBytes, grown = 11.0, 8.0

// fingerprints is how many a record has in the mean while a fleet goes on for so long.
func fingerprints(d time.Duration) float64 {
	periods := d.Seconds() / period.Seconds()
	whole := min(grown, math.Floor(periods))
	return whole*(whole-1)/2/periods + whole*(periods-whole)/periods
}

// look is the cost of one look of one sidecar, at records with so many fingerprints.
func (c costs) look(accounts int, past float64) load {
	requests, keys := float64(requestsOfALook(accounts)), 2*float64(accounts)
	return load{requests, keys, keys*c.inKey + requests*inRequest, keys*c.outKey + float64(accounts)*past*fingerprintBytes + requests*outRequest}
}

// renewal is what one renewal cost all sidecars of a trial together: the requests
// and keys that the looks leave. A renewal ends with a look of its own, which is part of it.
func (c costs) renewal(o outcome) load {
	looks := float64(o.afterCost.looks-o.afterCalls) / float64(requestsOfALook(o.accounts))
	return o.afterCost.load().plus(c.look(o.accounts, 0).times(-looks)).times(1 / float64(o.afterCalls))
}

// at is the load of a fleet in a second, at records with so many fingerprints.
//
//	sidecars × look(accounts) / 12.5 s + accounts × (caller + (sidecars-1) × bystander) / 3,300 s
func (c costs) at(sidecars, accounts int, past float64) load {
	n, m := float64(sidecars), float64(accounts)
	renewal := c.caller.plus(c.bystander.times(n - 1))
	return c.look(accounts, past).times(n / lookMean.Seconds()).plus(renewal.times(m / period.Seconds()))
}

// explains holds a trial against the formula: the cost is linear where it says so.
func (c costs) explains(t *testing.T, o outcome) {
	t.Helper()
	want, got, span := c.at(o.sidecars, o.accounts, fingerprints(o.after)), o.afterCost.load(), o.after
	if span == 0 {
		want, got, span = c.look(o.accounts, 0).times(float64(o.sidecars)/lookMean.Seconds()), o.calmCost.load(), calm
	}
	got = got.times(1 / span.Seconds())
	for _, one := range []struct {
		what      string
		want, got float64
	}{{"requests", want.requests, got.requests}, {"keys", want.keys, got.keys}, {"bytes in", want.in, got.in}, {"bytes out", want.out, got.out}} {
		t.Logf("%s: %s in a second: %.2f, by the formula %.2f (%.2f)", o, one.what, one.got, one.want, one.got/one.want)
		assert.InEpsilon(t, one.want, one.got, 0.1, "%s: %s in a second", o, one.what)
	}
}

// worstSecond returns the most requests to WeChat in a second of a start that no
// reader waits for: one for each account, and of each sidecar 50 at once and 50 in
// the second.
func worstSecond(sidecars, accounts int) float64 { return float64(min(accounts, 100*sidecars)) }

// worstMinute returns the same for a minute.
func worstMinute(sidecars, accounts int) float64 { return float64(min(accounts, 61*50*sidecars)) }

// laterMinute is the most calls in a minute of renewals after a common start, by the
// queue's arithmetic: what starts together is spread over 0.3 s for each account, at
// most over half the time after which a token is due. By chance, a minute may have a
// quarter more.
func laterMinute(accounts int) float64 {
	spread := min(time.Duration(accounts)*300*time.Millisecond, period/2)
	return float64(accounts) * min(1, 1.25*time.Minute.Seconds()/spread.Seconds())
}
