//go:build cluster

package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const app = "app-with-sidecar"

// folder is k8s/app-with-sidecar with a sidecar that asks the fake.
func folder(name string) overlay {
	return overlay{folder: name}.toFake(name, "initContainers")
}

// appWithSidecar applies k8s/app-with-sidecar with another address of WeChat, then
// with a reader as the app, and injects failures.
func appWithSidecar(t *testing.T) {
	s := newSpace(t, "app")
	s.withWeChat(t, 0)
	s.withShared(t)
	t.Run("its app starts after its sidecar, and its first read brings a token", func(t *testing.T) { s.startsWithAHit(t, app) })

	t.Run("a sidecar that is killed is restarted, and its app reads on", s.killedSidecar)
	t.Run("a memcached that is deleted is filled again without a call to WeChat", s.deletedMemcached)
	t.Run("a failing account takes no pod out of its Service", s.failingAccount)
}

// appOnOlderClusters applies the example app with k8s/sidecar-older, whose sidecar is
// an ordinary container. Newer clusters run it too.
func appOnOlderClusters(t *testing.T) {
	s := newSpace(t, "older")
	s.withWeChat(t, 0)
	s.withShared(t)
	s.applyOverlay(t, overlay{
		files: []string{app + "/deployment.yaml"}, components: []string{"sidecar-older"},
		fields: object{"images": []object{{"name": "wxsidecar", "newTag": "dev"}}},
	}.toFake(app, "containers"))
	s.rolledOut(t, app)
	pods := s.pods(t, app)
	require.Len(t, pods, 2)
	for _, pod := range pods {
		assert.Empty(t, pod.Spec.InitContainers)
		poll(t, time.Minute, pod.Name+" reads from memcached", func() (bool, string) {
			log := s.kubectl(t, "logs", pod.Name, "-c", "app")
			return strings.Contains(log, "from memcached"), log
		})
	}
	s.fewRequests(t, s.counts(t), 1)
}

// fewRequests asserts one request per renewal. It excepts a sidecar that did not reach
// memcached at its start, because the NetworkPolicy did not have its pod's address
// yet or memcached was still starting.
func (s *space) fewRequests(t *testing.T, c counts, renewals int) {
	t.Helper()
	assert.Equal(t, renewals, c.Requests, "requests to WeChat")
	assert.Zero(t, c.Stable, "requests for stable_token, which sidecars without memcached use")
	t.Logf("%d requests to WeChat", c.Requests)
}

// sharing lets a reader kill the sidecar's process: an image from scratch has no
// shell and no kill.
func sharing() overlay {
	return folder(app).withReader(app).with(app, object{"template": object{"spec": object{"shareProcessNamespace": true}}})
}

func (s *space) killedSidecar(t *testing.T) {
	s.applyOverlay(t, sharing())
	s.rolledOut(t, app)
	pods := s.pods(t, app)
	require.Len(t, pods, 2)
	before := s.readOn(t, 10)

	start := time.Now()
	for _, pod := range pods { // both, so no sidecar has a token in memory
		t.Logf("%s: %s", pod.Name, s.kubectl(t, "exec", pod.Name, "-c", "app", "--", "/fakewechat", "kill", "sidecar"))
	}
	poll(t, time.Minute, "both sidecars were restarted", func() (bool, string) {
		for _, pod := range s.pods(t, app) {
			if c := status(t, &pod, "wxsidecar"); c.RestartCount == 0 || c.Started == nil || !*c.Started {
				return false, pod.Name
			}
		}
		return true, ""
	})
	took := time.Since(start)
	after := s.readOn(t, 10)
	for _, pod := range s.pods(t, app) {
		sidecar := status(t, &pod, "wxsidecar")
		assert.EqualValues(t, 1, sidecar.RestartCount)
		require.NotNil(t, sidecar.LastTerminationState.Terminated)
		assert.EqualValues(t, 137, sidecar.LastTerminationState.Terminated.ExitCode, "128 + SIGKILL")
		assert.Zero(t, status(t, &pod, "app").RestartCount, "the app of %s", pod.Name)
	}
	after.flawless(t)
	assert.Equal(t, before.Requests, after.Requests, "requests to WeChat")
	t.Logf("both sidecars had passed their startup probe again %s after the kill; requests to WeChat: %d; readers: %s",
		short(took), after.Requests-before.Requests, after.sum())
}

func (s *space) deletedMemcached(t *testing.T) {
	s.applyOverlay(t, sharing())
	s.rolledOut(t, app)
	before := s.readOn(t, 10)
	for name, b := range before.Readers {
		require.True(t, b.Ended || b.Entry.There, "%s sees no entry", name)
	}

	s.kubectl(t, "delete", "pod", "-l", "app.kubernetes.io/name=memcached", "--wait=false")
	var after counts
	took := poll(t, time.Minute, "every reader has missed the entry, and has it again", func() (bool, string) {
		after = s.counts(t)
		for name, b := range after.Readers {
			if !b.Ended && (b.Entry.Gaps == before.Readers[name].Entry.Gaps || !b.Entry.There) {
				return false, name
			}
		}
		return true, ""
	})
	after = s.readOn(t, 10)
	after.flawless(t)
	assert.Equal(t, before.Requests, after.Requests, "requests to WeChat")
	for name, b := range after.Readers {
		if !b.Ended {
			t.Logf("%s: no entry for %s, meanwhile %d reads from the sidecar", name,
				short(b.Entry.BackAt.Sub(b.Entry.LostAt)), b.FromSidecar-before.Readers[name].FromSidecar)
		}
	}
	t.Logf("entry back for all %s after the deletion; requests to WeChat: %d; readers: %s", short(took), after.Requests-before.Requests, after.sum())
}
