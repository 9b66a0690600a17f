package k8s_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func TestPods_PassPodSecurityRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	require.NoError(t, err)
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			for _, result := range evaluator.EvaluatePod(restricted, &p.ObjectMeta, &p.Spec) {
				assert.True(t, result.Allowed, "%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
			}
		})
	}
}

// kube-score checks the memory limit, the read-only root and the image tag.
func TestPods_HardenedBeyondRestricted(t *testing.T) {
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			spec := p.Spec
			assert.False(t, deref(spec.AutomountServiceAccountToken, true), "a service-account token nobody needs")
			assert.False(t, deref(spec.EnableServiceLinks, true), "Services would inject MEMCACHED_PORT and the like")
			require.NotNil(t, spec.SecurityContext)
			user := int64(11211) // memcached's, in its image
			if p.sidecar() != nil {
				user = 65532
			}
			assert.Equal(t, user, deref(spec.SecurityContext.RunAsUser, 0), "runAsNonRoot needs a uid in numbers")
			assert.Equal(t, user, deref(spec.SecurityContext.RunAsGroup, 0))
			for _, c := range p.containers() {
				require.NotNil(t, c.SecurityContext, c.Name)
				assert.Nil(t, c.SecurityContext.RunAsUser, "%s: the pod's user", c.Name)
				assert.False(t, c.Resources.Requests.Cpu().IsZero(), "%s: CPU request", c.Name)
				assert.False(t, c.Resources.Requests.Memory().IsZero(), "%s: memory request", c.Name)
				assert.True(t, c.Resources.Limits.Cpu().IsZero(), "%s: a CPU limit only adds latency", c.Name)
			}
		})
	}
}
