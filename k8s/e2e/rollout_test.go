//go:build cluster

package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Tokens of this lifetime are due after 30 to 33 s, so renewals happen while the
// pods restart.
const (
	rolloutLife = 60 * time.Second
	rolloutDue  = rolloutLife / 2
)

func rollingRestart(t *testing.T) {
	const pods = 10
	s := newSpace(t, "rollout")
	s.withWeChat(t, rolloutLife)
	s.withShared(t)
	s.applyOverlay(t, folder(app).withReader(app).withReplicas(app, pods))
	up := s.rolledOut(t, "memcached", app)
	before := s.readOn(t, 5)
	require.Len(t, s.pods(t, app), pods)

	start := time.Now()
	s.kubectl(t, "rollout", "restart", "deployment/"+app)
	s.rolledOut(t, app)
	took := time.Since(start)
	poll(t, time.Minute, "the readers of the old pods have reported their last counters", func() (bool, string) {
		for name := range before.Readers {
			if !s.counts(t).Readers[name].Ended {
				return false, name
			}
		}
		return true, ""
	})
	// The test ends with a renewal by the new pods.
	var after counts
	poll(t, 2*rolloutLife, "a token was renewed after the restart", func() (bool, string) {
		after = s.counts(t)
		return after.Issued[len(after.Issued)-1].At.After(start.Add(took)), ""
	})
	after = s.readOn(t, 5)

	require.Len(t, after.Readers, 2*pods, "books")
	after.flawless(t)
	unrestarted(t, s.pods(t, ""))
	renewals := s.renewedWhenDue(t, after)
	t.Logf("%d pods Ready %s after apply, all restarted in %s; %d renewals of tokens of %s; readers: %s",
		pods, short(up), short(took), renewals, rolloutLife, after.sum())
}

// renewedWhenDue asserts that each token of rolloutLife was renewed when it was due, with
// one request. It returns how many there were.
func (s *space) renewedWhenDue(t *testing.T, c counts) (renewals int) {
	t.Helper()
	var last time.Time
	for _, issued := range c.Issued {
		if issued.API != "token" {
			continue
		}
		renewals++
		if !last.IsZero() {
			assert.GreaterOrEqual(t, issued.At.Sub(last), rolloutDue-time.Second, "between two tokens: one request too many")
		}
		last = issued.At
	}
	s.fewRequests(t, c, renewals)
	return renewals
}
