package keeper

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A process that was paused knows it, also if the poll that was on its way then has
// failed since. Without that, it would take memcached for down and answer from memory.
func TestPolls_Paused(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		polls polls
		want  bool
	}{
		"polls go on":                           {polls{answered: ago(15 * time.Second)}, false},
		"no poll for 31 s":                      {polls{answered: ago(31 * time.Second)}, true},
		"memcached is down":                     {polls{answered: ago(time.Hour), downSince: ago(time.Hour - 15*time.Second)}, false},
		"memcached was down from the start":     {polls{downSince: ago(time.Second)}, false},
		"no poll for 5 min, and one that fails": {polls{answered: ago(5 * time.Minute), downSince: ago(time.Second)}, true},
		"that one was repeated, and failed":     {polls{answered: ago(time.Second), downSince: ago(time.Second)}, false},
	} {
		assert.Equal(t, c.want, c.polls.paused(now), name)
	}
}
