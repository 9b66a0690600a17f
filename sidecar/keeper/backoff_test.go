package keeper

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A sidecar that could not reach WeChat waits longer than the others, also if it reads
// their cooldown meanwhile. Otherwise it is the first to try again, each time.
func TestBackoff_OwnWait(t *testing.T) {
	t.Parallel()
	now := time.Now()
	until := func(b *backoff) time.Duration { return b.until.Sub(now) }
	b := &backoff{}
	b.set(&failure{err: errRenewalInProgress, until: now.Add(140 * time.Second), local: true}, now)
	b.set(&failure{err: errRenewalInProgress, until: now.Add(120 * time.Second)}, now)
	assert.Equal(t, 140*time.Second, until(b), "a cooldown of all does not shorten it")
	b.set(&failure{err: errRenewalInProgress, until: now.Add(time.Hour)}, now)
	assert.Equal(t, time.Hour, until(b), "it can be longer")
	b.set(&failure{err: errRenewalInProgress, until: now.Add(20 * time.Second), local: true}, now)
	assert.Equal(t, 20*time.Second, until(b), "the next failure of this sidecar counts anew")
	b.clear()
	b.set(&failure{err: errRenewalInProgress, until: now.Add(time.Second)}, now)
	assert.Equal(t, time.Second, until(b), "after a success nothing is left")
	assert.Equal(t, 2, b.streak, "but for the streak")
}
