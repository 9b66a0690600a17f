package keeper

import (
	"time"
)

const (
	// clocksApart is the difference of two sidecars' clocks from which on it is logged.
	clocksApart = 5 * time.Second
	// dateApart is the same for WeChat's clock: its Date header has whole seconds, and its
	// answer can take seconds.
	dateApart = time.Minute
	// clockWarnEvery is the shortest time between two such warnings of a credential.
	clockWarnEvery = time.Hour
)

// warned is what was logged once. The credential's mu guards it.
type warned struct {
	newer bool      // a record of a newer version
	clock time.Time // when a clock that is off was last logged
}

// clockHint says what to do about a clock that is off.
const clockHint = "check the time service (NTP) of the nodes: no token is lost, but times in logs and on the status page are wrong"

// warnOfClock warns if this sidecar's wall clock differs from that of the sidecar which
// wrote a record.
func (c *credential) warnOfClock(ahead time.Duration, by string) {
	if ahead.Abs() > clocksApart && c.mayWarnOfClock() {
		c.log().Warn("clocks of two sidecars differ", "ahead_seconds", int(ahead.Seconds()), "other", by, "hint", clockHint)
	}
}

// warnOfDate warns if this sidecar's wall clock differs from WeChat's Date header.
func (c *credential) warnOfDate(date time.Time) {
	if date.IsZero() {
		return
	}
	if ahead := c.Wall().Sub(date); ahead.Abs() > dateApart && c.mayWarnOfClock() {
		c.log().Warn("clock of this node differs from WeChat's", "ahead_seconds", int(ahead.Seconds()), "hint", clockHint)
	}
}

// mayWarnOfClock reports whether the last warning was at least an hour ago, and takes the
// next one.
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
