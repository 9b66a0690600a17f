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

// The Retry-After of a failure is what is left of its wait, or of what the error says, in whole
// seconds and never none.
func TestBackoff_RetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Now()
	after := func(b *backoff, wait time.Duration) time.Duration {
		var e *Error
		assert.ErrorAs(t, b.recent(now.Add(wait)), &e)
		return e.RetryAfter
	}
	b := &backoff{}
	b.set(&failure{err: &Error{RetryAfter: time.Second}, until: now.Add(61 * time.Second)}, now)
	assert.Equal(t, 61*time.Second, after(b, 0))
	assert.Equal(t, 2*time.Second, after(b, 59*time.Second+time.Millisecond))
	assert.Equal(t, time.Second, after(b, 61*time.Second-time.Millisecond))
	b.set(&failure{err: &Error{RetryAfter: 40 * time.Second}, until: now.Add(time.Second)}, now)
	assert.Equal(t, 40*time.Second, after(b, 0))
}
