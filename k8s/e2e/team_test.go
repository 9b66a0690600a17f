//go:build cluster

package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// shop is an app that is not ours: its kustomization has six lines. See
// ../testdata/shop.
const shop = "testdata/shop"

// shopNames are the workloads of the shop with the label.
var shopNames = []string{"shop", "shop-orders", "shop-agent", "shop-migrate", "shop-report"}

// teamsApp adds the sidecar to the shop in two environments, one namespace each, and
// deletes it in one of them.
func teamsApp(t *testing.T) {
	test, production := newSpace(t, "shop-test"), newSpace(t, "shop-production")
	for _, s := range []*space{test, production} {
		s.withWeChat(t, 0)
		s.settings(t)
		s.withShared(t)
		s.rolledOut(t, "memcached")
	}
	shopFolder := overlay{folder: shop}.toFakeEverywhere().write(t)
	t.Run("test", func(t *testing.T) { test.runsShop(t, shopFolder) })
	t.Run("production", func(t *testing.T) { production.runsShop(t, shopFolder) })
	t.Run("deleting the app leaves nothing of it, and everything to other apps", func(t *testing.T) { test.deletesShop(t, shopFolder) })
}

func (s *space) runsShop(t *testing.T, shopFolder string) {
	t.Helper()
	start := time.Now()
	s.kubectl(t, "apply", "-k", shopFolder)
	for _, workload := range []string{"deployment/shop", "deployment/shop-admin", "statefulset/shop-orders", "daemonset/shop-agent"} {
		s.kubectl(t, "rollout", "status", workload, "--timeout=120s")
	}
	up := time.Since(start)
	s.kubectl(t, "wait", "--for=condition=complete", "job/shop-migrate", "--timeout=60s")
	start = time.Now()
	s.kubectl(t, "create", "job", "shop-report-now", "--from=cronjob/shop-report")
	s.kubectl(t, "wait", "--for=condition=complete", "job/shop-report-now", "--timeout=60s")
	completed := time.Since(start)

	again := s.kubectl(t, "apply", "-k", shopFolder)
	for line := range strings.Lines(again) {
		assert.Regexp(t, ` unchanged$`, strings.TrimSpace(line), "a second apply")
	}
	difference, err := s.try(t, "", "diff", "-k", shopFolder)
	require.NoError(t, err, "kubectl diff found: %s", difference)
	assert.Empty(t, difference)

	for _, name := range shopNames {
		for _, pod := range s.pods(t, name) {
			assert.Equal(t, "wxsidecar", pod.Spec.InitContainers[0].Name, name)
			assert.Equal(t, "true", pod.Labels["wxsidecar/sidecar"], name)
		}
	}
	names := func(containers []corev1.Container) (all []string) {
		for _, c := range containers {
			all = append(all, c.Name)
		}
		return all
	}
	assert.Equal(t, []string{"wxsidecar", "migrate", "warm-up"}, names(s.pods(t, "shop")[0].Spec.InitContainers))
	assert.Equal(t, []string{"admin"}, names(slices.Concat(s.pods(t, "shop-admin")[0].Spec.InitContainers, s.pods(t, "shop-admin")[0].Spec.Containers)))
	after := s.readOn(t, 10)
	after.flawless(t)
	s.fewRequests(t, after, 1)
	t.Logf("all Ready %s after kubectl apply; the CronJob's Job completed after %s; readers: %s; Warning events: %s",
		short(up), short(completed), after.sum(), s.warnings(t))
}

func (s *space) deletesShop(t *testing.T, shopFolder string) {
	t.Helper()
	s.applyOverlay(t, folder(app).withReader(app))
	s.rolledOut(t, app)
	before := s.readOn(t, 5)
	s.kubectl(t, "delete", "-k", shopFolder)
	took := poll(t, time.Minute, "nothing of the shop is left", func() (bool, string) {
		left := s.kubectl(t, "get", "deployments,statefulsets,daemonsets,jobs,cronjobs,pods,services,configmaps,secrets,networkpolicies", "-o", "name")
		return !strings.Contains(left, "shop"), left
	})
	after := s.readOn(t, 20)
	for _, pod := range s.pods(t, app) {
		was, is := before.reader(pod.Name), after.reader(pod.Name)
		assert.Equal(t, was.FromSidecar, is.FromSidecar, "reads of %s that missed memcached", pod.Name)
		assert.Zero(t, is.Failed+is.Invalid, pod.Name)
		assert.Greater(t, is.Reads, was.Reads)
	}
	assert.Equal(t, before.Requests, after.Requests, "requests to WeChat")
	kept := s.kubectl(t, "get", "deployments,services,networkpolicies,configmaps", "-o", "name")
	for _, name := range []string{"deployment.apps/memcached", "service/memcached", "networkpolicy.networking.k8s.io/memcached", "configmap/wxsidecar-defaults"} {
		assert.Contains(t, kept, name)
	}
	t.Logf("nothing of the shop is left %s after kubectl delete; the other app reads on", short(took))
}

// warnings returns the Warning events of this namespace.
func (s *space) warnings(t *testing.T) string {
	t.Helper()
	events := get[corev1.EventList](t, s, "events", "--field-selector=type=Warning").Items
	var all []string
	for _, e := range events {
		all = append(all, e.InvolvedObject.Name+": "+e.Message)
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, "; ")
}

// warningsOf counts the Warning events about a pod.
func (s *space) warningsOf(t *testing.T, pod string) int {
	t.Helper()
	return len(get[corev1.EventList](t, s, "events", "--field-selector=type=Warning,involvedObject.name="+pod).Items)
}

// lockedOut applies k8s/namespace with two transformers that break it. Apps then get
// every token from their sidecars, and the sidecars name the causes.
func lockedOut(t *testing.T) {
	t.Run("namePrefix", func(t *testing.T) {
		s := newSpace(t, "prefix")
		s.withWeChat(t, 0)
		o := folder(app).withReader(app)
		o.beside, o.fields = []string{"namespace"}, object{"namePrefix": "shop-"}
		s.applyOverlay(t, o)
		s.namesTheCauses(t, "shop-"+app)
	})
	t.Run("includeSelectors", func(t *testing.T) {
		s := newSpace(t, "selectors")
		s.withWeChat(t, 0)
		s.applyOverlay(t, overlay{folder: "namespace", fields: object{
			"labels": []object{{"pairs": object{"team": "shop"}, "includeSelectors": true}},
		}})
		s.applyOverlay(t, folder(app).withReader(app))
		s.namesTheCauses(t, app)
	})
}

func (s *space) namesTheCauses(t *testing.T, deployment string) {
	t.Helper()
	took := s.rolledOut(t, deployment)
	after := s.readOn(t, 10)
	all := after.sum()
	assert.Zero(t, all.Failed+all.Invalid)
	assert.Zero(t, all.FromMemcached)
	for _, pod := range s.pods(t, app) {
		log := s.kubectl(t, "logs", pod.Name, "-c", "wxsidecar")
		status, ready := s.ops(t, pod.Name, "/readyz")
		assert.Equal(t, 200, status, "the token is valid")
		for _, text := range []string{log, ready} {
			for _, cause := range []string{"memcached:11211", "namePrefix", "NetworkPolicy", "wxsidecar/reader", "includeSelectors"} {
				assert.Contains(t, text, cause)
			}
		}
		t.Logf("%s: /readyz: %s", pod.Name, strings.TrimSpace(ready))
	}
	t.Logf("rolled out in %s; readers: %s", short(took), all)
}
