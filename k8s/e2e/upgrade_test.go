//go:build cluster

package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// upgraded changes the sidecar's image and back, then evicts pods as `kubectl drain`
// does. Tokens of rolloutLife are renewed meanwhile.
func upgraded(t *testing.T) {
	const pods = 4
	s := newSpace(t, "upgrade")
	s.withWeChat(t, rolloutLife)
	s.withShared(t)
	s.applyOverlay(t, folder(app).withReader(app).withReplicas(app, pods))
	s.rolledOut(t, "memcached", app)
	s.readOn(t, 5)

	s.step(t, "upgraded to wxsidecar:next", func() {
		s.kubectl(t, "set", "image", "deployment/"+app, "wxsidecar=wxsidecar:next")
		s.rolledOut(t, app)
		s.allRun(t, "wxsidecar:next")
	})
	s.step(t, "rolled back to wxsidecar:dev", func() {
		s.kubectl(t, "rollout", "undo", "deployment/"+app)
		s.rolledOut(t, app)
		s.allRun(t, "wxsidecar:dev")
	})
	s.step(t, "two pods evicted", func() {
		for _, pod := range s.pods(t, app)[:2] {
			require.NoError(t, s.evict(t, pod.Name))
		}
		s.rolledOut(t, app)
	})
	after := s.counts(t)
	after.flawless(t)
	renewals := s.renewedWhenDue(t, after)
	assert.Greater(t, renewals, 1)
	t.Logf("in all: %d renewals, %d requests to WeChat; readers: %s", renewals, after.Requests, after.sum())
}

// step runs one change under readers. It ends with a renewal by the pods of that change.
func (s *space) step(t *testing.T, what string, change func()) {
	t.Helper()
	before, start := s.counts(t), time.Now()
	change()
	took := time.Since(start)
	var after counts
	poll(t, 2*rolloutLife, "a token was renewed after the change", func() (bool, string) {
		after = s.counts(t)
		return after.Issued[len(after.Issued)-1].At.After(start.Add(took)), ""
	})
	after = s.readOn(t, 5)
	was, is := before.sum(), after.sum()
	t.Logf("%s in %s: %d reads, %d failed, %d invalid; %d tokens renewed, %d requests to WeChat", what, short(took),
		is.Reads-was.Reads, is.Failed-was.Failed, is.Invalid-was.Invalid, after.Issues-before.Issues, after.Requests-before.Requests)
}

// allRun asserts that every sidecar has this image.
func (s *space) allRun(t *testing.T, image string) {
	t.Helper()
	for _, pod := range s.pods(t, app) {
		assert.Equal(t, image, pod.Spec.InitContainers[0].Image, pod.Name)
	}
}
