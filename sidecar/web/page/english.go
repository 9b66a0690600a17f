package page

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

var english = &words{
	tag: "en", other: "zh", toOther: "中文",
	clock: func(t time.Time, layout string) string { return t.UTC().Format(layout) + " UTC" },
	units: status.EnglishUnits, comma: ", ", stop: ".", space: " ",
	health: map[status.Health]string{
		status.Unavailable: "unavailable", status.Failing: "renewal fails", status.Starting: "starting", status.OK: "healthy",
	},
	headline: englishHeadline,
	hint:     func(h hint.Hint) string { return sentence(h.English) },

	memcachedUp: "memcached answers", memcachedOff: "memcached is off: tokens are in this process alone", memcachedNote: " Meanwhile, sidecars serve tokens from memory.", mirrorUp: "Mirror works",
	noAccount: "Set WECHAT_APPID, or put files into WECHAT_ACCOUNTS_DIR.",
	inDoubt:   "WeChat did not answer a request, and may have issued another token. This one is renewed early.",

	docs: repository + "docs/operations.md", more: "Read more",
	anchors: anchors{outage: "#outages", errcodes: "#errcodes-from-wechat", inApps: "#errcodes-in-an-app", notes: "#probes", mirror: "#outages"},
	legend:  legend{age: "age", due: "next renewal", reserve: "reserve, if renewals fail, until it expires"},

	age: "Age", left: "Expires in", renewal: "Next renewal", by: "Renewed by", today: "Today", published: "In memcached",
	yes: "yes", missing: "not at the last poll", unnamed: "unnamed",
	counted: "Counted by WeChat", external: "By other programs", uncounted: "no count for this account", unknown: "unknown",

	memcachedDown: func(since string) string { return "memcached has failed for " + since },
	mirrorDown:    func(since string) string { return "Mirror has failed for " + since },
	in:            func(span string) string { return "in " + span },
	overdue:       func(span string) string { return "overdue by " + span },
	done: func(renewals, failures int) string {
		return count(renewals, "renewal", "renewals") + ", " + count(failures, "failure", "failures")
	},
	used: func(used, limit int, ago string) string {
		return fmt.Sprintf("%d of %d requests today, %s ago", used, limit, ago)
	},
	fetched: func(n int, span string) string { return count(n, "fetch", "fetches") + " in " + span },
	failing: func(span, since string) string { return "Failing for " + span + ", since " + since + "." },
	tried: func(ago, retry string) string {
		if retry == "" {
			return "Last attempt " + ago + " ago, next attempt now."
		}
		return "Last attempt " + ago + " ago, next attempt in " + retry + "."
	},
	served: func(kind, left string) string {
		if left == "" {
			return "Apps get errors instead of this " + kind + "."
		}
		return "Apps get no errors: this " + kind + " is valid for another " + left + "."
	},
	reported: func(kind string) string {
		return "Apps can get errors: this " + kind + " was reported as refused by WeChat, and no renewal is allowed yet."
	},
	life: func(age, whole, due string) string {
		return "Age " + age + " of " + whole + ", renewal at " + due
	},
	hidden: func(t tally) string {
		return fmt.Sprintf("%d more are not shown: %d unavailable, %d failing to renew, %d starting. All are in",
			t.all, t.unavailable, t.failing, t.starting)
	},
	uptime: func(span string) string { return "up " + span + ", refreshed every 10 s" },
}

func englishHeadline(t tally) string {
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
		return "No account is configured"
	case t.unavailable > 0:
		return some(t.unavailable, "is unavailable", "are unavailable")
	case t.failing > 0:
		return some(t.failing, "fails to renew", "fail to renew")
	case t.starting > 0:
		return some(t.starting, "is starting", "are starting")
	}
	return some(t.all, "is healthy", "are healthy")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// sentence returns s with a capital and a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:] + "."
}
