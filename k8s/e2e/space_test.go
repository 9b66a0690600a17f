//go:build cluster

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// space is a namespace with a fake WeChat.
type space struct {
	name   string
	secret string // the AppSecret in the Secret wechat-accounts
}

// appID is that of the manifests.
const appID = "wx0123456789abcdef"

// newSpace creates a namespace, which is deleted when the test ends.
func newSpace(t *testing.T, name string) *space {
	t.Helper()
	s := &space{name: run + "-" + name}
	namespace := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace",
		"metadata":{"name":%q,"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`, s.name)
	_, err := kubectl(t.Context(), namespace, "create", "-f", "-")
	require.NoError(t, err)
	spaces.mu.Lock()
	spaces.names = append(spaces.names, s.name)
	spaces.mu.Unlock()
	t.Cleanup(func() { s.end(t) })
	return s
}

// end searches the logs for secrets, logs the namespace's state if the test failed,
// and deletes the namespace. TestMain waits for the deletion.
func (s *space) end(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own has ended
	defer cancel()
	names, err := kubectl(ctx, "", "get", "pods", "--namespace", s.name, "-o", "name")
	assert.NoError(t, err) //nolint:testifylint // the namespace is to be deleted all the same
	for _, pod := range strings.Fields(names) {
		// A container that has not started has no log.
		log, _ := kubectl(ctx, "", "logs", "--namespace", s.name, pod, "--all-containers", "--prefix")
		assert.Zero(t, strings.Count(log, "canary"+"secret"), "an AppSecret is in the log of %s", pod)
		assert.Zero(t, strings.Count(log, "canary"+"token"), "a token is in the log of %s", pod)
		if t.Failed() && !strings.Contains(log, "canary") {
			lines := strings.Split(strings.TrimSpace(log), "\n")
			t.Logf("the end of the log of %s:\n%s", pod, strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	}
	if t.Failed() {
		for _, what := range [][]string{{"pods", "-o", "wide"}, {"events", "--field-selector=type=Warning"}} {
			text, _ := kubectl(ctx, "", append([]string{"get", "--namespace", s.name}, what...)...)
			t.Logf("%s of %s:\n%s", what[0], s.name, text)
		}
	}
	_, err = kubectl(ctx, "", "delete", "namespace", s.name, "--wait=false")
	assert.NoError(t, err)
}

// rolledOut waits until every pod of the Deployments is new and available.
func (s *space) rolledOut(t *testing.T, names ...string) time.Duration {
	t.Helper()
	start := time.Now()
	for _, name := range names {
		for {
			_, err := s.try(t, "", "rollout", "status", "deployment/"+name, "--timeout=5s")
			if err == nil {
				break
			}
			s.imagesThere(t)
			require.Less(t, time.Since(start), 2*time.Minute, "%v", err)
		}
	}
	return time.Since(start)
}

// imagesThere fails the test if the cluster lacks an image.
func (s *space) imagesThere(t *testing.T) {
	t.Helper()
	for _, pod := range s.pods(t, "") {
		for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			if waiting := c.State.Waiting; waiting != nil && strings.Contains(waiting.Reason, "Image") {
				require.Failf(t, "an image is missing", "%s of pod %s: %s: %s\n"+
					"  k8s/e2e/images.sh docker builds the project's images; load them with, for example, `kind load docker-image %s`",
					c.Image, pod.Name, waiting.Reason, waiting.Message, c.Image)
			}
		}
	}
}

// pods returns the pods with this app.kubernetes.io/name, or all, except those that
// are terminating.
func (s *space) pods(t *testing.T, name string) []corev1.Pod {
	t.Helper()
	args := []string{"pods"}
	if name != "" {
		args = append(args, "-l", "app.kubernetes.io/name="+name)
	}
	var live []corev1.Pod
	for _, pod := range get[corev1.PodList](t, s, args...).Items {
		if pod.DeletionTimestamp == nil {
			live = append(live, pod)
		}
	}
	return live
}

// status returns a container's status, native sidecars included.
func status(t *testing.T, pod *corev1.Pod, container string) corev1.ContainerStatus {
	t.Helper()
	for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if c.Name == container {
			return c
		}
	}
	require.Failf(t, "no status", "pod %s has no container %s", pod.Name, container)
	return corev1.ContainerStatus{}
}

// isReady reports whether the pod is ready. A new pod has no container statuses.
func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// unrestarted asserts that no container of these pods was restarted.
func unrestarted(t *testing.T, pods []corev1.Pod) {
	t.Helper()
	for _, pod := range pods {
		for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			assert.Zero(t, c.RestartCount, "%s of pod %s", c.Name, pod.Name)
		}
	}
}

// object is a Kubernetes object in JSON.
type object = map[string]any

func namedObject(apiVersion, kind, name string, rest object) object {
	rest["apiVersion"], rest["kind"], rest["metadata"] = apiVersion, kind, object{"name": name}
	return rest
}
