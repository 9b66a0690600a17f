package sim

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// A seed repeats a simulation: its verdict, and its events one by one. That takes
// three things. All that is random comes from dice, and everybody who acts has
// dice of their own. Times are random to the nanosecond, so that two timers
// never end together. And each write takes a time of its own (latency), so that
// what begins together is soon apart: the order in which the scheduler runs what
// is runnable at the same time then decides nothing.

// dice are the random numbers of one who acts.
type dice struct {
	one sync.Mutex // guards rng
	rng *rand.Rand
}

func newDice(seed uint64, name string) *dice {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return &dice{rng: rand.New(rand.NewPCG(seed, h.Sum64()))}
}

// as returns the same world with the dice of one who acts in it. Two who have the
// same name throw the same.
func (w *world) as(name string) *world { return &world{w.cluster, newDice(w.seed, name), false} }

// float returns a random number from 0 to 1.
func (d *dice) float() float64 {
	d.one.Lock()
	defer d.one.Unlock()
	return d.rng.Float64()
}

// between returns a random whole number from a to b.
func (d *dice) between(a, b int) int {
	d.one.Lock()
	defer d.one.Unlock()
	return a + d.rng.IntN(b-a+1)
}

func (d *dice) flip() bool { return d.between(0, 1) == 0 }

// seconds returns a random time from a to b seconds, to the nanosecond.
func (d *dice) seconds(a, b int) time.Duration {
	return time.Duration(a)*time.Second + time.Duration(d.float()*float64(b-a)*float64(time.Second))
}

// watchOff keeps what happens once a second from happening on the second, as much
// else does.
const watchOff = 1234567 * time.Nanosecond

// latency is how long what is written takes. It differs by what is written, by
// whom, and when. Two that begin together with the same words end together, but
// a sidecar does not ask twice at the same time.
func (p *pod) latency(from string, b []byte) time.Duration {
	line, _, _ := bytes.Cut(b, []byte("\r\n")) // not the value: it may hold a random id
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %s %s %d %s", p.world.seed, p.name, from, time.Since(p.world.start), line)
	p.world.said(h.Sum64())
	return 20*time.Microsecond + time.Duration(h.Sum64()%80_000)
}

// said adds something that was written to what was written in this minute, in
// whatever order.
func (w *world) said(what uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	minute := int(time.Since(w.start) / time.Minute)
	for len(w.traffic) <= minute {
		w.traffic = append(w.traffic, 0)
	}
	w.traffic[minute] += what
}

// event is what happened, without anything that is random for its own sake.
type event struct {
	at   time.Duration // since the start
	what string
}

func (e event) String() string { return fmt.Sprintf("%s %s", e.at, e.what) }

// note notes an event.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, event{time.Since(w.start), fmt.Sprintf(format, args...)})
}

// history returns the events in their order; those of one instant by their words.
func (w *world) history() []event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.SortedFunc(slices.Values(w.events), func(a, b event) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return bytes.Compare([]byte(a.what), []byte(b.what))
	})
}

// episodeAt is the episode that had begun last at that time.
func (w *world) episodeAt(at time.Duration) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range slices.Backward(w.events) {
		if e.at <= at && strings.HasPrefix(e.what, "episode") {
			return e.String()
		}
	}
	return "no episode"
}
