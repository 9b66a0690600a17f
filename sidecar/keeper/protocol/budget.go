package protocol

import "time"

// BudgetWindow is the period in which Budget unplanned requests can be sent.
const (
	BudgetWindow = 10 * time.Minute
	Budget       = 10
)

// Spent is what one process requested for one credential. Marks in memcached coordinate
// the budget of all sidecars, and whoever can write there can delete them. So each process
// also counts its own requests. While the marks are complete, memcached never allows more
// than this. The zero Spent is nothing.
type Spent struct {
	unplanned []time.Time // monotonic, oldest first
	planned   time.Time   // monotonic: no request counts as planned before
	forced    time.Time   // monotonic: no force_refresh before
}

// Plan takes the planned request of a renewal, and reports whether it was free. every is
// the least time between two of them; 0: it is always free, see PlanFor.
func (s *Spent) Plan(every time.Duration, now Now) bool {
	if every == 0 {
		return true
	}
	if now.Mono.Before(s.planned) {
		return false
	}
	s.planned = now.Mono.Add(every)
	return true
}

// Force takes the one force_refresh in every, and reports whether it was free.
func (s *Spent) Force(every time.Duration, now Now) bool {
	if now.Mono.Before(s.forced) {
		return false
	}
	s.forced = now.Mono.Add(every)
	return true
}

// GiveForceBack frees the force_refresh.
func (s *Spent) GiveForceBack() { s.forced = time.Time{} }

// Spend takes an unplanned request, and reports whether one was free.
func (s *Spent) Spend(now Now) bool {
	for len(s.unplanned) > 0 && now.Mono.Sub(s.unplanned[0]) >= BudgetWindow {
		s.unplanned = s.unplanned[1:]
	}
	if len(s.unplanned) >= Budget {
		return false
	}
	s.unplanned = append(s.unplanned, now.Mono)
	return true
}

// GiveBack frees the use that was taken last, because its request was not sent.
func (s *Spent) GiveBack() { s.unplanned = s.unplanned[:max(0, len(s.unplanned)-1)] }
