package protocol

import "time"

// A record with a higher version belongs to newer sidecars, which know more about it.
// This sidecar serves its token, puts it back byte for byte, and renews only if the
// newer ones do not, so that a rollback works.
const (
	// newerDelay is how long after its time this sidecar renews such a record.
	newerDelay = time.Minute
	// newerReport is how long after this process first got a report of its token this
	// sidecar renews it.
	newerReport = 30 * time.Second
)

// ReportDelay returns how long a report of the token that is held still waits, if this
// process first got it at since (monotonic).
func (h *Held) ReportDelay(since time.Time, now Now) time.Duration {
	if h.Record == nil || !h.Record.Newer() {
		return 0
	}
	return max(0, newerReport-now.Mono.Sub(since))
}
