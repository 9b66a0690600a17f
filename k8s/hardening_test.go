package k8s_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
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
			for _, c := range p.containers() {
				user, group := c.SecurityContext.RunAsUser, c.SecurityContext.RunAsGroup
				if c.Name == "memcached" { // no other container is added to its pod
					user, group = spec.SecurityContext.RunAsUser, spec.SecurityContext.RunAsGroup
				}
				assert.Equal(t, userOf(&c), deref(user, 0), "%s: runAsNonRoot needs a uid in numbers", c.Name)
				assert.Equal(t, userOf(&c), deref(group, 0), c.Name)
				assert.False(t, c.Resources.Requests.Cpu().IsZero(), "%s: CPU request", c.Name)
				assert.False(t, c.Resources.Requests.Memory().IsZero(), "%s: memory request", c.Name)
				assert.True(t, c.Resources.Limits.Cpu().IsZero(), "%s: a CPU limit only adds latency", c.Name)
			}
		})
	}
}

// userOf returns the user of a container's image.
func userOf(c *corev1.Container) int64 {
	switch {
	case isOurs(c):
		return 65532
	case c.Name == "memcached":
		return 11211
	}
	return 10033 // the PHP app's
}
