package keeper

import (
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// budgetClass is the class of a wait that WeChat did not cause.
const budgetClass = "budget"

// settlingClass is the class of the wait after memcached was emptied.
const settlingClass = "settling"

// settling is how long the fleet waits then: everybody has looked once.
const settling = 17 * time.Second

// personWait is how long the fleet waits where only a person can help. Another
// AppSecret ends it at once. A minute, and a second: ten such waits must be longer
// than the budget's ten minutes, or each eleventh call would be refused by the
// budget, and people told of that instead of what they must see to.
const personWait = 61 * time.Second

// beijing is WeChat's day. A fixed zone: the image has no zone files.
var beijing = time.FixedZone("UTC+8", 8*60*60)

// waitFor is how long the fleet waits after the failed call number tries (1 for
// the first) since the last success. spread (0 to 1) moves a transient wait by
// up to 10 % either way.
func waitFor(err *wechat.Error, tries int, now time.Time, spread float64) time.Duration {
	switch err.Class {
	case wechat.Minute:
		return now.Truncate(time.Minute).Add(time.Minute).Sub(now)
	case wechat.Day:
		y, m, d := now.In(beijing).Date()
		midnight := time.Date(y, m, d+1, 0, 0, 0, 0, beijing)
		return min(time.Hour, midnight.Sub(now))
	case wechat.Timed:
		return err.Wait
	case wechat.Person, wechat.Defect:
		return personWait
	case wechat.Transient, wechat.Refused:
	}
	seconds := min(60, 1<<min(max(tries-1, 0), 6))
	return time.Duration((0.9 + 0.2*spread) * float64(seconds) * float64(time.Second))
}
