package mirror

import "time"

// RetryAfter returns the wait after this many failures in a row.
var RetryAfter = retryAfter

// Waiting returns the number of credentials that are not written yet.
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

// CheckNow makes the written credentials due for a check.
func CheckNow(m *Mirror) {
	for _, q := range m.queues {
		q.mu.Lock()
		for _, j := range q.waiting {
			if j.written {
				j.due = time.Now()
			}
		}
		q.wakeUp()
		q.mu.Unlock()
	}
}

// Fill replaces the placeholder by the AppID.
var Fill = fill
