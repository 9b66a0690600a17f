package mirror

import "time"

// RetryAfter is the wait after so many failures in a row.
var RetryAfter = retryAfter

// Waiting is how many credentials are not written yet.
func Waiting(m *Mirror) int {
	n := 0
	for _, q := range m.queues {
		q.mu.Lock()
		for _, j := range q.waiting {
			if !j.written {
				n++
			}
		}
		q.mu.Unlock()
	}
	return n
}

// LookNow has what was written looked at now.
func LookNow(m *Mirror) {
	for _, q := range m.queues {
		q.mu.Lock()
		for _, j := range q.waiting {
			if j.written {
				j.due = time.Now()
			}
		}
		q.nudge()
		q.mu.Unlock()
	}
}
