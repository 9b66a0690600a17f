package sdktest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inTrouble ends sidecar, memcached and MariaDB and starts them again, and has
// WeChat answer with errors: each while nothing is due, and in the long form each
// over a renewal too.
func inTrouble(t *testing.T) []*program {
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
			s.hurtOverRenewals(t)
		}
	})
	for _, p := range all {
		if p.name == unchangedMemcache && p.change == "nothing" {
			assert.Zero(t, p.count.dead, "%s used a dead token", p)
			// It asks at each request until a sidecar has filled memcached again: some
			// seconds, since other programs ask their sidecar meanwhile.
			assert.LessOrEqual(t, p.count.fetches, 20, "%s calls WeChat", p)
			continue
		}
		p.assertSpotless(t)
	}
	t.Logf("%d renewals of the token, %d of the ticket, %d calls to WeChat by the sidecar",
		s.renewed(), len(s.wechat.Tickets())-1, s.road.so().fetches)
	if t.Failed() {
		t.Log(s.sidecar.Stderr.String())
	}
	for _, p := range all {
		if p.told.Failed > 0 {
			t.Logf("%s, the first of its own errors: %s", p, p.told.First)
		}
	}
	return all
}

// failOnce refuses the sidecar's next call.
func (s *stage) failOnce(t *testing.T) {
	t.Helper()
	before := s.road.so().fetches
	s.wechat.FailAll(-1)
	require.Eventually(t, func() bool { return s.road.so().fetches > before }, s.life, 10*time.Millisecond, "a call that is refused")
	s.wechat.Heal()
}

// hurtOverRenewals ends each from just before a renewal is due until it is overdue.
func (s *stage) hurtOverRenewals(t *testing.T) {
	t.Helper()
	s.around(t, 2*time.Second, s.sidecar.Kill, func() { s.start(t) })
	s.around(t, 2*time.Second, s.memcached.Kill, func() { s.memcached.Restart(t) })
	s.around(t, 0, s.mariadb.Kill, func() { s.mariadb.start(t) })
	s.around(t, 8*time.Second, func() { s.wechat.FailAll(-1) }, s.wechat.Heal)
}

// around ends something 2 s before a renewal is due, and begins it again that long
// after the time at which a sidecar would have renewed at the latest.
func (s *stage) around(t *testing.T, after time.Duration, end, begin func()) {
	t.Helper()
	issued := s.wechat.Issued()
	due := issued[len(issued)-1].At.Add(s.life / 2)
	s.until(t, due.Add(-2*time.Second))
	end()
	s.until(t, due.Add(s.life/20+after))
	begin()
	last := len(issued)
	require.Eventually(t, func() bool { return len(s.wechat.Issued()) > last }, patience, 10*time.Millisecond, "the renewal after all")
}

func (s *stage) until(t *testing.T, when time.Time) {
	t.Helper()
	require.Eventually(t, func() bool { return !time.Now().Before(when) }, max(time.Until(when), 0)+patience, 10*time.Millisecond)
}
