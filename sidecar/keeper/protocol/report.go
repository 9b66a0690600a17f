package protocol

import "time"

// A report is an app's word: some requests are refused with 40001 whatever the token. The
// first report in ReportWindow leads to a renewal. From the second on, the sidecar that
// owns the report first checks the token with a request to WeChat.
const (
	// ReportWindow is how long a report counts, from the last one on.
	ReportWindow = 10 * time.Minute
	// CheckLife bounds that request.
	CheckLife = 2 * time.Second
	// ownerPatience is how long all others wait until the sidecar that owns a report has
	// the lease: it may check the token first.
	ownerPatience = CheckLife + time.Second
	// ThrottleLife is how long after a report the next one can cause a renewal.
	ThrottleLife = 31 * time.Second
	// MarkValid is the word of the mark report_throttle if WeChat still accepts the token.
	// Otherwise it is the fingerprint of the reported token.
	MarkValid = "valid"
)

// IsAppsWord reports whether nothing but an app's word says that the token is invalid. The
// report of a ticket cannot be checked. A report that was handed over was checked, and an
// external token in the entry is proof.
func (w Why) IsAppsWord(ticket bool) bool {
	return w.IsReport() && !ticket && !w.Proven && !w.External
}

// NeedsCheck reports whether the token is checked before a renewal. before is the word of the
// mark recent_report, empty if no app reported in ReportWindow.
func (w Why) NeedsCheck(ticket bool, before string) bool {
	return w.IsAppsWord(ticket) && before != ""
}

// Throttling says how a report continues whose renewal another sidecar owns.
type Throttling int

// How such a report continues.
const (
	AwaitOwner Throttling = iota // that sidecar is about to renew
	TooSoon                      // the last report was for another token, or its owner is gone
	StillValid                   // WeChat still accepts the reported token
)

// Throttled returns how a report continues that did not get the mark report_throttle. mark
// is the word of that mark, reported the fingerprint of the reported token, and waited how
// long this sidecar has waited for the owner.
func Throttled(mark, reported string, waited time.Duration) Throttling {
	switch {
	case mark == MarkValid:
		return StillValid
	case mark != "" && mark != reported, waited > ownerPatience:
		return TooSoon
	}
	return AwaitOwner
}
