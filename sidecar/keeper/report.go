package keeper

import (
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
)

// reports is what this sidecar knows of reports that a token is invalid. The
// credential's mu guards it.
type reports struct {
	owner string    // fingerprint of the reported token that this sidecar must renew
	first string    // fingerprint of the last token that was reported here
	since time.Time // monotonic: when it was first reported here

	awaited      string    // fingerprint of the last token whose report another sidecar owned
	awaitedSince time.Time // monotonic: since when this sidecar waited for that owner
}

// waited returns how long this sidecar has waited for the owner of a report. So callers that
// come later do not wait again.
func (r *reports) waited(fingerprint string, now time.Time) time.Duration {
	if r.awaited != fingerprint || now.Sub(r.awaitedSince) > protocol.ThrottleLife {
		r.awaited, r.awaitedSince = fingerprint, now
	}
	return now.Sub(r.awaitedSince)
}

// owns reports whether this sidecar must renew the held token, which was reported.
func (r *reports) owns(held *protocol.Held) bool {
	return r.owner != "" && held.IsReported() && r.owner == memcache.Fingerprint(held.Record.Token)
}

// firstReport returns when this process first got a report of the token.
func (r *reports) firstReport(token string, now time.Time) time.Time {
	if fp := memcache.Fingerprint(token); r.first != fp {
		r.first, r.since = fp, now
	}
	return r.since
}

// end drops reports of tokens that are not held any more.
func (r *reports) end(held *protocol.Held) {
	fp := ""
	if held.Record != nil {
		fp = memcache.Fingerprint(held.Record.Token)
	}
	if r.owner != fp {
		r.owner = ""
	}
	if held.Reported != fp {
		held.Reported = ""
	}
}

// errThrottled is the answer to a report that comes too soon after another.
var errThrottled = &Error{
	Reason: Budget, Code: budgetCode, Message: "the last report was less than 31 s ago",
	Hint: hint.ReportOnce, RetryAfter: protocol.ThrottleLife,
}

// errStillValid is the answer to a report of a credential that WeChat accepts, or returns
// again.
var errStillValid = &Error{
	Reason: Budget, Code: budgetCode, Message: "WeChat still accepts the reported credential",
	Hint: hint.StillValid, RetryAfter: protocol.ThrottleLife,
}

// markValid answers the reports of all sidecars until the throttle ends. If it fails, they
// wait for a while before they answer.
func (c *credential) markValid() {
	_, _ = c.slot.Remark(memcache.MarkReportThrottle, protocol.MarkValid, protocol.ThrottleLife)
}

// renewsReported reports whether this sidecar must renew this reported token.
func (c *credential) renewsReported(token string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reports.owns(&c.held) && c.held.Record.Token == token
}

// report notes that WeChat refused the held token, which is the newest one in memcached,
// and that this sidecar must renew it. counted is true if an app reported it here.
func (c *credential) report(token string, counted bool) {
	fp, now := memcache.Fingerprint(token), c.now()
	c.mu.Lock()
	c.reports.owner = fp
	news := c.held.Valid(now) && c.held.Record.Token == token && c.held.Reported != fp
	age := time.Duration(0)
	if news {
		c.held.Reported = fp
		age = c.held.Age(now)
	}
	news = news && counted
	if news {
		c.counts.Reports++
	}
	c.mu.Unlock()
	switch {
	case news && c.isTicket():
		c.log().Warn("ticket reported as invalid", "ticket_fingerprint", fp, "age_seconds", int(age.Seconds()), "hint", hint.ExternalTicket)
	case news:
		c.log().Warn("token reported as invalid", "event", "token_reported", "token_fingerprint", fp,
			"age_seconds", int(age.Seconds()), "hint", hint.ExternalToken)
	}
}

// reportDelay returns how long a report of the valid token still waits, because newer
// sidecars renew it. The caller holds mu.
func (c *credential) reportDelay(now protocol.Now) time.Duration {
	return c.held.ReportDelay(c.reports.firstReport(c.held.Record.Token, now.Mono), now)
}

// delayNewer refuses a report of a token whose record belongs to newer sidecars, as long
// as those have time to renew it.
func (c *credential) delayNewer(rejected string) error {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held.Valid(now) || c.held.Record.Token != rejected || !c.held.Record.Newer() {
		return nil
	}
	wait := c.reportDelay(now)
	if wait == 0 {
		return nil
	}
	return &Error{
		Reason: Budget, Code: budgetCode, Message: "a newer sidecar renews this token", RetryAfter: wait,
		Hint: hint.NewerRecord,
	}
}
