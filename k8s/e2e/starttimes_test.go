//go:build cluster

package e2e_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startTimes starts an app ten times with the sidecar and ten times without, and once
// while memcached or WeChat is missing.
func startTimes(t *testing.T) {
	s := newSpace(t, "starts")
	s.withWeChat(t, 0)
	s.withShared(t)
	s.rolledOut(t, "memcached")
	waits := object{"replicas": 0, "template": object{"spec": object{
		"terminationGracePeriodSeconds": 1, "containers": []object{{"name": "app", "image": "wxsidecar-e2e:dev", "args": []string{"wait"}}},
	}}}
	s.applyOverlay(t, folder(app).with(app, waits))
	bare := overlay{files: []string{app + "/deployment.yaml"}, fields: object{"namePrefix": "bare-"}}.with(app, waits)
	s.applyOverlay(t, bare)
	watch := s.watchStarts(t, app)

	const times = 10
	var with, without []start
	var ours []time.Duration
	warned := 0
	for range times {
		one, mine, events := s.startOnce(t, watch, app)
		with, ours, warned = append(with, one), append(ours, mine), warned+events
		one, _, events = s.startOnce(t, watch, "bare-"+app)
		without = append(without, one)
		assert.Zero(t, events)
	}
	assert.Zero(t, warned, "Warning events of %d starts", times)
	appRuns := func(s start) time.Duration { return s.appRuns.Sub(s.created) }
	t.Logf("median of %d starts, from the pod's creation to the running app: %s with the sidecar, %s without; Warning events: %d", times,
		median(with, appRuns), median(without, appRuns), warned)
	slices.Sort(ours)
	t.Logf("the sidecar runs after %s; its own part is %s to %s, median %s; its probe passes %s after it runs; the app runs %s later",
		median(with, func(s start) time.Duration { return s.sidecarRuns.Sub(s.created) }),
		short(ours[0]), short(ours[len(ours)-1]), short(ours[len(ours)/2]),
		median(with, func(s start) time.Duration { return s.sidecarStarted.Sub(s.sidecarRuns) }),
		median(with, func(s start) time.Duration { return s.appRuns.Sub(s.sidecarStarted) }))

	for _, missing := range []string{"memcached", "fakewechat"} {
		s.kubectl(t, "scale", "deployment/memcached", "--replicas=0") // what is in it must go
		s.kubectl(t, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=memcached", "--timeout=60s")
		if missing == "fakewechat" {
			s.kubectl(t, "scale", "deployment/memcached", "--replicas=1")
			s.rolledOut(t, "memcached")
			s.kubectl(t, "scale", "deployment/fakewechat", "--replicas=0")
			s.kubectl(t, "wait", "--for=delete", "pod", "-l", "app=fakewechat", "--timeout=60s")
		}
		one, _, events := s.startOnce(t, watch, app)
		assert.Less(t, one.sidecarStarted.Sub(one.sidecarRuns), 12*time.Second)
		t.Logf("without %s the app runs after %s, its sidecar's probe passes after %s; Warning events: %d",
			missing, short(appRuns(one)), short(one.sidecarStarted.Sub(one.sidecarRuns)), events)
	}
}

// startOnce starts one pod and ends it. It returns its times, how long the sidecar
// itself took until it had the token, and the number of Warning events.
func (s *space) startOnce(t *testing.T, w *starts, deployment string) (one start, ours time.Duration, warned int) {
	t.Helper()
	s.kubectl(t, "scale", "deployment/"+deployment, "--replicas=1")
	var name string
	poll(t, time.Minute, deployment+" runs", func() (bool, string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for pod, p := range w.pods {
			if strings.HasPrefix(pod, deployment+"-") && !p.ready.IsZero() && !p.used {
				name, one, p.used = pod, *p, true
				return true, ""
			}
		}
		return false, "not ready"
	})
	if deployment == app {
		ours = s.ownPart(t, name)
	}
	warned = s.warningsOf(t, name)
	s.kubectl(t, "scale", "deployment/"+deployment, "--replicas=0")
	s.kubectl(t, "wait", "--for=delete", "pod/"+name, "--timeout=60s")
	return one, ours, warned
}

// ownPart returns the time from the sidecar's first log line to its token's, or 0 if it
// had none.
func (s *space) ownPart(t *testing.T, pod string) time.Duration {
	t.Helper()
	var begun time.Time
	for line := range strings.Lines(s.kubectl(t, "logs", pod, "-c", "wxsidecar")) {
		var l struct {
			Time  time.Time
			Event string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		if begun.IsZero() {
			begun = l.Time
		}
		if l.Event == "token_adopted" || l.Event == "token_renewed" {
			return l.Time.Sub(begun)
		}
	}
	return 0
}

func median(all []start, of func(start) time.Duration) string {
	var times []time.Duration
	for _, one := range all {
		times = append(times, of(one))
	}
	slices.Sort(times)
	return fmt.Sprintf("%.2f s", times[len(times)/2].Seconds())
}
