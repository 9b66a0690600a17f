package web

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

var english = &words{
	tag: "en", name: "en", other: "zh", toOther: "中文",
	clock: func(t time.Time) string { return t.UTC().Format(time.TimeOnly) + " UTC" },
	units: [4]string{"d", "h", "min", "s"}, comma: ", ", stop: ".",
	health: map[Health]string{Ill: "ill", Failing: "renewal fails", Starting: "starting", OK: "well"},
	headline: func(t tally) string {
		some := func(n int, one, many string) string {
			switch {
			case t.all == 1:
				return "The account " + one
			case n == t.all:
				return fmt.Sprintf("All %d accounts %s", n, many)
			case n == 1:
				return fmt.Sprintf("1 of %d accounts %s", t.all, one)
			}
			return fmt.Sprintf("%d of %d accounts %s", n, t.all, many)
		}
		switch {
		case t.all == 0:
			return "No account is kept"
		case t.ill > 0:
			return some(t.ill, "is ill", "are ill")
		case t.failing > 0:
			return some(t.failing, "cannot be renewed", "cannot be renewed")
		case t.starting > 0:
			return some(t.starting, "is starting", "are starting")
		}
		return some(t.all, "is well", "are well")
	},
	hint:          func(h hint.Hint) string { return sentence(h.English) },
	memcachedUp:   "memcached answers",
	memcachedHint: "Check MEMCACHED_SERVERS and that memcached runs. Tokens are served from memory meanwhile.",
	mirrorUp:      "Mirror works",
	noAccount:     "Set WECHAT_APPID, or put files into WECHAT_ACCOUNTS_DIR.",
	doubtful:      "A call was left without an answer, so that another token may have been issued: this one is renewed early.",

	age: "Age", left: "Time left", renewal: "Next renewal", by: "Renewed by", today: "Today", held: "In memcached",
	yes: "yes", notHeld: "not when last looked at", nobody: "unnamed",

	memcachedDown: func(since string) string { return "memcached has failed for " + since },
	mirrorDown:    func(since string) string { return "Mirror has failed for " + since },
	in:            func(span string) string { return "in " + span },
	overdue:       func(span string) string { return "overdue by " + span },
	done: func(renewals, failures int) string {
		return count(renewals, "renewal", "renewals") + ", " + count(failures, "failure", "failures")
	},
	failed: func(ago, retry string) string {
		if retry == "" {
			return "Failed " + ago + " ago; tried again now."
		}
		return "Failed " + ago + " ago; tried again in " + retry + "."
	},
	life: func(age, whole, due string) string {
		return "Life so far: " + age + " of " + whole + ", renewal at " + due
	},
	more: func(t tally) string {
		return fmt.Sprintf("%d more are not shown, %d of them ill, %d that cannot be renewed, %d starting. All are in",
			t.all, t.ill, t.failing, t.starting)
	},
	footer: func(up string) string { return "up " + up + ", refreshed every 10 s" },
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:] + "."
}
