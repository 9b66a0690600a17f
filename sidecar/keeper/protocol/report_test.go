package protocol

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The second report in ten minutes is checked if only an app says that the token is
// invalid. The first one never is.
func TestNeedsCheck_TheSecondWordOfAnApp(t *testing.T) {
	for _, c := range []struct {
		name   string
		why    Why
		ticket bool
		before string
		want   bool
	}{
		{"the second report", Why{Invalid: "t1"}, false, "9f86d081", true},
		{"the first report", Why{Invalid: "t1"}, false, "", false},
		{"of a ticket", Why{Invalid: "t1"}, true, "9f86d081", false},
		{"handed over", Why{Invalid: "t1", Proven: true}, false, "9f86d081", false},
		{"an external token in the entry", Why{Invalid: "t1", External: true}, false, "9f86d081", false},
		{"due by its age", Why{}, false, "9f86d081", false},
	} {
		assert.Equal(t, c.want, c.why.NeedsCheck(c.ticket, c.before), c.name)
	}
}

// A report waits for the sidecar that owns it only while that may still renew.
func TestThrottled_WaitsForTheOwnerAlone(t *testing.T) {
	for _, c := range []struct {
		name   string
		mark   string
		waited time.Duration
		want   Throttling
	}{
		{"its owner is at work", "9f86d081", 0, AwaitOwner},
		{"its owner can still be at work", "9f86d081", ownerPatience, AwaitOwner},
		{"its owner is gone", "9f86d081", ownerPatience + 1, TooSoon},
		{"the mark has just ended", "", 0, AwaitOwner},
		{"the mark has just ended, again and again", "", ownerPatience + 1, TooSoon},
		{"for another token", "00000000", 0, TooSoon},
		{"written by hand", "x", 0, TooSoon},
		{"WeChat accepts the token", MarkValid, 0, StillValid},
	} {
		assert.Equal(t, c.want, Throttled(c.mark, "9f86d081", c.waited), c.name)
	}
	assert.Greater(t, ownerPatience, CheckLife)
}
