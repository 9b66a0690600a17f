package mirror

// RetryAfter is the wait after so many failures in a row.
var RetryAfter = retryAfter

// Waiting is how many credentials are not written yet.
func Waiting(m *Mirror) int {
	n := 0
	for _, q := range m.queues {
		q.mu.Lock()
		n += len(q.waiting)
		q.mu.Unlock()
	}
	return n
}
