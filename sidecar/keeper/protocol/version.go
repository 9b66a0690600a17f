package protocol

import "time"

// A record with a higher version belongs to newer sidecars. This sidecar serves its
// token, puts it back byte for byte, and renews only if the newer ones do not. So a
// rollback works.
const (
	// newerDelay is how long after its time this sidecar renews such a record.
	newerDelay = time.Minute
	// newerReport is how long after the first report of its token in this process this
	// sidecar renews it.
	newerReport = 30 * time.Second
)

// ReportDelay returns how long a report of the held token still waits, if this process
// first got one at since (monotonic).
func (h *Held) ReportDelay(since time.Time, now Now) time.Duration {
	if h.Record == nil || !h.Record.Newer() {
		return 0
	}
	return max(0, newerReport-now.Mono.Sub(since))
}
