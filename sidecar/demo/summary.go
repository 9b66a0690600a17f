package demo

import "time"

// summary prints the figures, and the claims that did not hold.
func (d *demo) summary() {
	var sum counts
	for _, app := range d.apps {
		sum.reads += app.counts.reads
		sum.fromSidecar += app.counts.fromSidecar
		sum.invalid += app.counts.invalid
		sum.failed += app.counts.failed
	}
	ahead, extra := d.renewals()
	requests := d.requests()
	d.claim(sum.reads > 0, "the apps read tokens")
	d.claim(sum.invalid == 0, "no app reads an invalid token")
	d.claim(sum.failed == 0, "no app is without a token")
	d.claim(extra == 0, "two sidecars make one request per renewal")
	d.plain("")
	d.plain("After %s:", time.Since(d.start).Truncate(100*time.Millisecond))
	d.plain("  tokens read          %d, %d of them from a sidecar because memcached had none", sum.reads, sum.fromSidecar)
	d.plain("  invalid tokens read  %d", sum.invalid)
	d.plain("  reads that failed    %d", sum.failed)
	d.plain("  requests to WeChat   %d: the first token, %d renewals ahead of time, %d for external fetches and reports", requests, ahead, len(d.causes))
	d.plain("  needless requests    %d", extra)
	for _, text := range d.broken {
		d.plain("  DID NOT HOLD: %s", text)
	}
}

// renewals counts the tokens that were due, and those without a reason.
func (d *demo) renewals() (ahead, extra int) {
	var last time.Time
	causes := d.causes
	for _, issue := range d.wechat.Issued() {
		if issue.External || issue.AppID != d.appID {
			continue
		}
		switch {
		case last.IsZero(): // the first
		case len(causes) > 0 && issue.At.After(causes[0]):
			causes = causes[1:]
		case issue.At.Sub(last) >= tokenLife/2-time.Second: // a record counts in whole seconds
			ahead++
		default:
			extra++
		}
		last = issue.At
	}
	return ahead, extra
}
