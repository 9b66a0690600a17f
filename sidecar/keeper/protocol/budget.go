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
	again     []time.Time // planned ones for a token that WeChat returned again, likewise
	planned   time.Time   // monotonic: no request counts as planned before
	forced    time.Time   // monotonic: no force_refresh before
	checked   time.Time   // monotonic: no check of a reported token before
}

// Plan takes the planned request of a renewal, and reports whether it was free. every is
// the least time between two of them. It is 0 for a token that WeChat returned again, see
// PlanFor. Such a token needs about six requests in its last 300 s. But the record says
// that it is one, and whoever can write there can say so of each token. So Budget of them
// are free in BudgetWindow.
func (s *Spent) Plan(every time.Duration, now Now) bool {
	if every == 0 {
		return take(&s.again, now)
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

// Check takes the one check of a reported token in ThrottleLife, and reports whether it was
// free. memcached's clock can end the mark of the report before a second early.
func (s *Spent) Check(now Now) bool {
	if now.Mono.Before(s.checked) {
		return false
	}
	s.checked = now.Mono.Add(ThrottleLife - time.Second)
	return true
}

// Spend takes an unplanned request, and reports whether one was free.
func (s *Spent) Spend(now Now) bool { return take(&s.unplanned, now) }

// take adds a request to those of the last BudgetWindow, and reports whether they were
// fewer than Budget.
func take(requests *[]time.Time, now Now) bool {
	for len(*requests) > 0 && now.Mono.Sub((*requests)[0]) >= BudgetWindow {
		*requests = (*requests)[1:]
	}
	if len(*requests) >= Budget {
		return false
	}
	*requests = append(*requests, now.Mono)
	return true
}

// GiveBack frees the use that was taken last, because its request was not sent.
func (s *Spent) GiveBack() { s.unplanned = s.unplanned[:max(0, len(s.unplanned)-1)] }
