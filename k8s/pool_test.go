package k8s_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
)

const (
	poolFolder = "memcached-pool"
	defaults   = "wxsidecar-defaults" // the ConfigMap
)

// It has everything of k8s/namespace, so it can take its place.
func TestPool_InPlaceOfNamespace(t *testing.T) {
	one, three := build(t, "namespace"), build(t, poolFolder)
	assert.Equal(t, one.policies, three.policies)
	assert.Equal(t, sorted(one.services), sorted(three.services))
	assert.Equal(t, sorted(one.configs), sorted(three.configs))
	for name := range one.configs[defaults].Data {
		assert.Contains(t, three.configs[defaults].Data, name)
	}
}

// Its pods differ from the one memcached only in being spread over nodes.
func TestPool_PodsOfMemcached(t *testing.T) {
	one, three := build(t, "memcached").deployments["memcached"], build(t, poolFolder).stateful["memcached"]
	spread := three.Spec.Template.Spec.TopologySpreadConstraints
	require.Len(t, spread, 1)
	assert.Equal(t, three.Spec.Selector, spread[0].LabelSelector)
	assert.EqualValues(t, "ScheduleAnyway", spread[0].WhenUnsatisfiable, "on a cluster of one node, two pods would wait for ever")
	three.Spec.Template.Spec.TopologySpreadConstraints = nil
	assert.Equal(t, one.Spec.Template, three.Spec.Template)
}

// MEMCACHED_SERVERS names each pod. The headless Service has the addresses of all.
func TestPool_ServersNameEachPod(t *testing.T) {
	m := build(t, poolFolder)
	set, service, settings := m.stateful["memcached"], m.services["memcached"], m.configs[defaults].Data
	require.Equal(t, service.Name, set.Spec.ServiceName)
	assert.Equal(t, corev1.ClusterIPNone, service.Spec.ClusterIP, "the pods have no names")
	assert.Equal(t, set.Spec.Selector.MatchLabels, service.Spec.Selector)
	var pods []string
	for i := range deref(set.Spec.Replicas, 1) {
		pods = append(pods, fmt.Sprintf("%s-%d.%s:%d", set.Name, i, service.Name, service.Spec.Ports[0].Port))
	}
	assert.Equal(t, strings.Join(pods, ","), settings["MEMCACHED_SERVERS"])
	require.NoError(t, memcache.CheckServers(pods))
	assert.EqualValues(t, ring.Ketama, settings["MEMCACHED_HASH"], "the hash of app.php, and of the Go client's default")
}

// Every account has its keys on one pod, and each pod has some.
func TestPool_EachPodHasAccounts(t *testing.T) {
	settings := build(t, poolFolder).configs[defaults].Data
	servers, on := strings.Split(settings["MEMCACHED_SERVERS"], ","), map[int]int{}
	server := ring.New(ring.Hash(settings["MEMCACHED_HASH"]), servers)
	for i := range 3000 {
		on[server(fmt.Sprintf("wx%016x", i))]++
	}
	for i := range servers {
		assert.InDelta(t, 1000, on[i], 250, "accounts of %s", servers[i])
	}
}

// Nodes drain one pod at a time, and a rolling update waits for the sidecars' next poll.
func TestPool_OnePodAtATime(t *testing.T) {
	m := build(t, poolFolder)
	set, budget := m.stateful["memcached"], m.budgets["memcached"]
	assert.Equal(t, set.Spec.Selector, budget.Spec.Selector)
	assert.Equal(t, intstr.FromInt32(1), deref(budget.Spec.MaxUnavailable, intstr.FromInt32(0)))
	assert.EqualValues(t, "AlwaysAllow", deref(budget.Spec.UnhealthyPodEvictionPolicy, ""))
	assert.Greater(t, set.Spec.MinReadySeconds, int32(15), "sidecars poll every 10 to 15 s")
	assert.Empty(t, set.Spec.VolumeClaimTemplates, "a memcached keeps nothing")
}

// The policies of a folder select its memcached pods, and let standalone sidecars reach them.
func TestPool_PoliciesFit(t *testing.T) {
	m := build(t, poolFolder)
	require.Equal(t, []string{"memcached", "wxsidecar"}, sorted(m.policies))
	labels := m.stateful["memcached"].Spec.Template.Labels
	for _, selector := range []map[string]string{
		m.policies["memcached"].Spec.PodSelector.MatchLabels,
		m.policies["wxsidecar"].Spec.Egress[1].To[0].PodSelector.MatchLabels,
	} {
		require.NotEmpty(t, selector)
		assert.Subset(t, labels, selector)
	}
}
