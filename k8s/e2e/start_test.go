//go:build cluster

package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// starts records how pods become ready, from `kubectl get --watch`. The timestamps in
// a pod's status are whole seconds.
type starts struct {
	mu   sync.Mutex // guards pods and wrong
	pods map[string]*start
	// wrong are the moments at which an app ran beside a sidecar that had not started.
	wrong []string
}

// start has one pod's times. Zero means not seen.
type start struct {
	created, sidecarRuns, sidecarStarted, appRuns, ready time.Time
	used                                                 bool // startOnce has returned it
}

// watchStarts watches the pods of this name until the test ends. It returns when
// the watch has begun.
func (s *space) watchStarts(t *testing.T, name string) *starts {
	t.Helper()
	w := &starts{pods: map[string]*start{}}
	watch := command(t.Context(), "get", "pods", "--namespace", s.name, "-l", "app.kubernetes.io/name="+name, "--watch", "-o", "json")
	out, err := watch.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, watch.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		decoder := json.NewDecoder(out)
		for {
			var pod corev1.Pod
			if err := decoder.Decode(&pod); err != nil {
				if !errors.Is(err, io.EOF) && t.Context().Err() == nil {
					t.Errorf("watch pods: %v", err)
				}
				return
			}
			w.saw(&pod, time.Now())
		}
	}()
	t.Cleanup(func() { // the test's context has ended, and kubectl with it
		<-ended
		_ = watch.Wait()
	})
	return w
}

func (w *starts) saw(pod *corev1.Pod, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.pods[pod.Name]
	if p == nil {
		p = &start{created: now}
		w.pods[pod.Name] = p
	}
	first := func(at *time.Time, is bool) {
		if is && at.IsZero() {
			*at = now
		}
	}
	running := func(c corev1.ContainerStatus) bool { return c.State.Running != nil }
	started := func(c corev1.ContainerStatus) bool { return c.Started != nil && *c.Started }
	ours := func(c corev1.ContainerStatus) bool { return c.Name == "wxsidecar" }
	sidecars, apps := pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses
	if i := slices.IndexFunc(sidecars, ours); i >= 0 {
		first(&p.sidecarRuns, running(sidecars[i]))
		first(&p.sidecarStarted, started(sidecars[i]))
		if slices.ContainsFunc(apps, running) && p.sidecarStarted.IsZero() {
			w.wrong = append(w.wrong, pod.Name)
		}
	}
	first(&p.appRuns, len(apps) > 0 && running(apps[0]))
	first(&p.ready, slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	}))
}

// inOrder asserts that no app ran before its sidecar's startup probe passed, and
// logs how long each step took.
func (w *starts) inOrder(t *testing.T, pods []corev1.Pod) {
	t.Helper()
	poll(t, 10*time.Second, "the watch has seen every pod become ready", func() (bool, string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, pod := range pods {
			if p := w.pods[pod.Name]; p == nil || p.ready.IsZero() {
				return false, pod.Name
			}
		}
		return true, ""
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.Empty(t, w.wrong, "pods whose app ran before their sidecar had started")
	for _, pod := range pods {
		p := w.pods[pod.Name]
		since := func(at time.Time) string { return fmt.Sprintf("%.2f s", at.Sub(p.created).Seconds()) }
		t.Logf("pod %s, after its creation: sidecar runs %s, startup probe passed %s, app runs %s, Ready %s",
			pod.Name, since(p.sidecarRuns), since(p.sidecarStarted), since(p.appRuns), since(p.ready))

		sidecar, app := status(t, &pod, "wxsidecar"), status(t, &pod, "app")
		require.NotNil(t, sidecar.State.Running)
		require.NotNil(t, app.State.Running)
		assert.True(t, sidecar.Started != nil && *sidecar.Started, "the startup probe of %s has not passed", pod.Name)
		assert.False(t, app.State.Running.StartedAt.Before(&sidecar.State.Running.StartedAt), "%s: the app at %s, the sidecar at %s",
			pod.Name, app.State.Running.StartedAt, sidecar.State.Running.StartedAt)
	}
}

// startsWithAHit applies the folder of an example app. It asserts that its two pods
// start in order and that the app finds its token in memcached.
func (s *space) startsWithAHit(t *testing.T, name string) {
	t.Helper()
	watch := s.watchStarts(t, name)
	start := time.Now()
	s.applyOverlay(t, folder(name))
	applied := time.Since(start)
	s.rolledOut(t, "memcached", name)
	t.Logf("kubectl apply -k took %s, everything Ready after %s", short(applied), short(time.Since(start)))
	pods := s.pods(t, name)
	require.Len(t, pods, 2)
	watch.inOrder(t, pods)
	s.firstReads(t, watch, pods)
	unrestarted(t, pods)
	s.fewRequests(t, s.counts(t), 1)
}

// firstReads asserts that the app's first read returned a token from memcached. The
// startup probe waits for that.
func (s *space) firstReads(t *testing.T, w *starts, pods []corev1.Pod) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pod := range pods {
		line, p := s.firstRead(t, pod.Name), w.pods[pod.Name]
		assert.Contains(t, line, "from memcached", "the app's first read in %s", pod.Name)
		t.Logf("the startup probe of %s passed after %s; the app's first read: %s", pod.Name, short(p.sidecarStarted.Sub(p.sidecarRuns)), line)
	}
}

// aRead matches a line of either example app about one read.
var aRead = regexp.MustCompile(`.*(from (memcached|sidecar)|no token).*`)

// firstRead returns an example app's line about its first read.
func (s *space) firstRead(t *testing.T, pod string) string {
	t.Helper()
	var line string
	poll(t, 30*time.Second, "the app of "+pod+" has read", func() (bool, string) {
		log := s.kubectl(t, "logs", pod, "-c", "app", "--limit-bytes=16384")
		line = aRead.FindString(log)
		return line != "", log
	})
	return line
}
