package k8s_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestStandalone_OneAlwaysAnswers(t *testing.T) {
	d := build(t, "standalone").deployments["wxsidecar"]
	assert.EqualValues(t, 2, deref(d.Spec.Replicas, 1))
	assert.Equal(t, appsv1.RollingUpdateDeploymentStrategyType, d.Spec.Strategy.Type)
	require.NotNil(t, d.Spec.Strategy.RollingUpdate)
	assert.Equal(t, intstr.FromInt32(0), *d.Spec.Strategy.RollingUpdate.MaxUnavailable)
	assert.Equal(t, intstr.FromInt32(1), *d.Spec.Strategy.RollingUpdate.MaxSurge)

	spread := d.Spec.Template.Spec.TopologySpreadConstraints
	require.Len(t, spread, 1)
	assert.Equal(t, d.Spec.Selector, spread[0].LabelSelector)
	assert.EqualValues(t, "ScheduleAnyway", spread[0].WhenUnsatisfiable, "a cluster of one node would run one sidecar")
}

func TestStandalone_ReadyWhileAnswering(t *testing.T) {
	d := build(t, "standalone").deployments["wxsidecar"]
	c := pod{PodTemplateSpec: &d.Spec.Template}.sidecar()
	require.NotNil(t, c)
	require.NotNil(t, c.ReadinessProbe)
	require.NotNil(t, c.ReadinessProbe.HTTPGet)
	assert.Equal(t, "/livez", c.ReadinessProbe.HTTPGet.Path, "with /readyz, one failing account removes both from the Service")
	require.NotNil(t, c.Lifecycle, "nodes still send callers after SIGTERM")
	require.NotNil(t, c.Lifecycle.PreStop.Sleep)
	ends := c.Lifecycle.PreStop.Sleep.Seconds + 5 // the sidecar's own
	assert.Less(t, ends, deref(d.Spec.Template.Spec.TerminationGracePeriodSeconds, 30))
}

func TestStandalone_ListensForTheService(t *testing.T) {
	m := build(t, "standalone")
	c := pod{PodTemplateSpec: &m.deployments["wxsidecar"].Spec.Template}.sidecar()
	require.NotNil(t, c)
	ports := m.services["wxsidecar"].Spec.Ports
	require.Len(t, ports, 1, "health and metrics are each pod's own")
	assert.EqualValues(t, 7200, ports[0].Port)
	assert.Equal(t, "api", ports[0].Name)
	assert.EqualValues(t, 7200, portOf(c, ports[0].TargetPort))
	assert.Equal(t, ":7200", value(c, "SIDECAR_LISTEN"))
	assert.NotEmpty(t, value(c, "SIDECAR_AUTH_TOKEN_FILE"), "it does not start without one")
}

// kube-score checks the selector.
func TestBudgets_LetNodesDrain(t *testing.T) {
	m := all(t)
	require.NotEmpty(t, m.budgets)
	for name, budget := range m.budgets {
		if m.stateful[name] != nil {
			continue // see TestPool_OnePodAtATime
		}
		d := m.deployments[name]
		require.NotNil(t, d, "no Deployment is named %s", name)
		require.NotNil(t, budget.Spec.MinAvailable, name)
		assert.Positive(t, budget.Spec.MinAvailable.IntVal, name)
		assert.Less(t, budget.Spec.MinAvailable.IntVal, deref(d.Spec.Replicas, 1), "%s: no pod could ever be evicted", name)
	}
}
