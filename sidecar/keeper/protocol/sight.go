package protocol

import (
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// sight is how a token was first seen.
type sight struct {
	token      string
	issued     int64
	age        time.Duration // as estimated then
	wall, mono time.Time
}

// of reports whether the sight is of r's token.
func (s sight) of(r *memcache.Record) bool { return s.token == r.Token && s.issued == r.Issued }

// pausedMost is how long a sidecar can be paused between its decision to write a record
// and the write. After that time, another one acts on the doubt of its claim.
const pausedMost = 2 * time.Minute

// arrival returns the first sight of a record that was just read.
//
// Two limits bound its age. It is at least what its writer says (Record.Age). It is at
// most that, the time since last, when this process read another record or none, and
// pausedMost. Between these limits the wall clock decides. So even a clock that is off by
// hours makes no token expired or due that has just arrived. A process that has just
// started has no last, and must believe its clock.
//
// If the clock makes the token younger than its writer says, by more than Slack covers,
// the clock is behind. Then the token counts as written just after last, so that no
// expired token is given.
func arrival(r *memcache.Record, last time.Time, now Now) sight {
	wall, writer := now.Wall.Sub(time.Unix(r.Issued, 0)), time.Duration(r.Age)*time.Second
	age := max(wall, writer)
	if !last.IsZero() {
		since := now.Mono.Sub(last)
		if wall < writer-Slack(r.Life()) {
			age = writer + min(since, pausedMost)
		}
		age = min(age, writer+since+pausedMost)
	}
	return sight{r.Token, r.Issued, max(0, age), now.Wall, now.Mono}
}

// ClockOff returns by how much this wall clock seems to be ahead of the clock of the
// sidecar that wrote r, if r was first seen now. It is 0 if the arrival explains the
// difference. It is for a warning, and decides nothing.
func (h *Held) ClockOff(r *memcache.Record, now Now) time.Duration {
	if r == nil || r.Token == "" || !h.same(r) || h.sight.mono != now.Mono {
		return 0
	}
	return now.Wall.Sub(time.Unix(r.Issued, 0)) - h.sight.age
}

// Age returns how old the token is: its age at first sight, and the time since then by
// the clock that went further. So neither a wall clock that is set back nor a suspended
// machine makes it younger.
func (h *Held) Age(now Now) time.Duration {
	return h.sight.age + max(now.Mono.Sub(h.sight.mono), now.Wall.Sub(h.sight.wall))
}
