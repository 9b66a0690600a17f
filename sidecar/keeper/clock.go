package keeper

import (
	"time"
)

const (
	// clocksApart is how far two clocks can be apart before it is worth a warning.
	clocksApart = 5 * time.Second
	// dateApart is the same beside WeChat's clock: its Date header has whole seconds, and
	// its answer can take seconds.
	dateApart = time.Minute
	// clockWarnEvery spaces the warnings of one credential.
	clockWarnEvery = time.Hour
)

// warned is what was logged once. The credential's mu guards it.
type warned struct {
	newer bool      // a record of a newer version
	clock time.Time // when a clock that is off was last logged
}

// clockHint is what to do about it.
const clockHint = "check the time service (NTP) of the nodes: no token is lost, but times in logs and on the page are wrong"

// warnOfClock warns if this sidecar's wall clock is off by so much, as the record of
// another sidecar shows.
func (c *credential) warnOfClock(ahead time.Duration, by string) {
	if ahead.Abs() > clocksApart && c.mayWarnOfClock() {
		c.log().Warn("clocks of two sidecars differ", "ahead_seconds", int(ahead.Seconds()), "other", by, "hint", clockHint)
	}
}

// warnOfDate does so if WeChat's Date header shows it.
func (c *credential) warnOfDate(date time.Time) {
	if date.IsZero() {
		return
	}
	if ahead := c.Wall().Sub(date); ahead.Abs() > dateApart && c.mayWarnOfClock() {
		c.log().Warn("the clock of this node differs from WeChat's", "ahead_seconds", int(ahead.Seconds()), "hint", clockHint)
	}
}

func (c *credential) mayWarnOfClock() bool {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.polls.warned.clock.IsZero() && now.Sub(c.polls.warned.clock) < clockWarnEvery {
		return false
	}
	c.polls.warned.clock = now
	return true
}
