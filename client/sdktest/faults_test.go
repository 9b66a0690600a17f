package sdktest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withFaults restarts the sidecar, memcached and MariaDB, and makes WeChat answer with
// errors: each while no renewal is due, and in the long form also during a renewal.
func withFaults(t *testing.T) []*program {
	t.Helper()
	plan := plan{life: 30 * time.Second, grace: 10 * time.Second}
	if long() {
		plan.life, plan.grace = time.Minute, 20*time.Second
	}
	s := newStage(t, plan)
	all := run(t, s, func() {
		s.awaitRenewals(t, 1)
		s.sidecar.Kill()
		s.start(t)
		s.memcached.Restart(t)
		s.mariadb.Kill()
		s.mariadb.start(t)
		s.failOnce(t)
		s.awaitRenewals(t, 1)
		if long() {
			s.faultsDuringRenewals(t)
		}
	})
	for _, p := range all {
		if p.name == unchangedMemcache && p.change == "nothing" {
			assert.Zero(t, p.count.invalid, "%s used an invalid token", p)
			// It requests a token each time until the sidecar has written the entry: some
			// seconds, because other programs read through the sidecar meanwhile.
			assert.LessOrEqual(t, p.count.fetches, 20, "%s requests tokens from WeChat", p)
			continue
		}
		p.assertFaultless(t)
	}
	t.Logf("%d renewals of the token, %d of the ticket, %d requests to WeChat by the sidecar",
		s.renewed(), len(s.wechat.Tickets())-1, s.sidecarEndpoint.counts().fetches)
	if t.Failed() {
		t.Log(s.sidecar.Stderr.String())
	}
	for _, p := range all {
		if p.tally.Failed > 0 {
			t.Logf("%s, its first error: %s", p, p.tally.Error)
		}
	}
	return all
}

// failOnce makes WeChat refuse the sidecar's next request.
func (s *stage) failOnce(t *testing.T) {
	t.Helper()
	before := s.sidecarEndpoint.counts().fetches
	s.wechat.FailAll(-1)
	require.Eventually(t, func() bool { return s.sidecarEndpoint.counts().fetches > before }, s.life, 10*time.Millisecond, "a refused request")
	s.wechat.Heal()
}

// faultsDuringRenewals repeats each fault from before a renewal is due until it is
// overdue.
func (s *stage) faultsDuringRenewals(t *testing.T) {
	t.Helper()
	s.duringRenewal(t, 2*time.Second, s.sidecar.Kill, func() { s.start(t) })
	s.duringRenewal(t, 2*time.Second, s.memcached.Kill, func() { s.memcached.Restart(t) })
	s.duringRenewal(t, 0, s.mariadb.Kill, func() { s.mariadb.start(t) })
	s.duringRenewal(t, 8*time.Second, func() { s.wechat.FailAll(-1) }, s.wechat.Heal)
}

// duringRenewal calls end 2 s before a renewal is due. It calls begin some time after the
// moment at which a sidecar renews at the latest.
func (s *stage) duringRenewal(t *testing.T, after time.Duration, end, begin func()) {
	t.Helper()
	issued := s.wechat.Issued()
	due := issued[len(issued)-1].At.Add(s.life / 2)
	s.until(t, due.Add(-2*time.Second))
	end()
	s.until(t, due.Add(s.life/20+after))
	begin()
	last := len(issued)
	require.Eventually(t, func() bool { return len(s.wechat.Issued()) > last }, patience, 10*time.Millisecond, "the renewal")
}

func (s *stage) until(t *testing.T, when time.Time) {
	t.Helper()
	require.Eventually(t, func() bool { return !time.Now().Before(when) }, max(time.Until(when), 0)+patience, 10*time.Millisecond)
}
