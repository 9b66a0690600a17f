package k8s_test

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

const opsPort = 7201 // SIDECAR_OPS_LISTEN's default

// isOurs tells the containers of our own image, whatever registry and tag the kustomization gave it.
func isOurs(c *corev1.Container) bool {
	name, _, _ := strings.Cut(path.Base(c.Image), ":")
	return name == "wxsidecar"
}

// runsSidecar: `sidecar` or `sidecar run`. The rest are the client's subcommands.
func runsSidecar(c *corev1.Container) bool {
	return isOurs(c) && (len(c.Args) == 0 || c.Args[0] == "run")
}

func TestEveryManifestIsAppliedBySomeKustomization(t *testing.T) {
	for _, folder := range folders(t) {
		files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
		require.NoError(t, err)
		for _, file := range files {
			if name := filepath.Base(file); name != "kustomization.yaml" {
				assert.Contains(t, listed(t, folder), name, "%s is there but never applied", file)
			}
		}
	}
	loose, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	assert.Equal(t, []string{secretExample}, loose)
}

func TestNoKustomizationBringsASecret(t *testing.T) {
	for _, folder := range folders(t) {
		assert.Empty(t, build(t, folder).secrets, "%s would write over the user's own", folder)
	}
}

func TestAppWithSidecarBringsItsMemcached(t *testing.T) {
	m := build(t, "app-with-sidecar")
	var names []string
	for _, d := range m.deployments {
		names = append(names, d.Name)
	}
	assert.ElementsMatch(t, []string{"memcached", "app-with-sidecar"}, names)
}

func TestPodsPassPodSecurityRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	require.NoError(t, err)
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, pod := range pods(t) {
		t.Run(pod.name, func(t *testing.T) {
			for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
				assert.True(t, result.Allowed, "%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
			}
		})
	}
}

func TestPodsAreHardenedBeyondRestricted(t *testing.T) {
	for _, pod := range pods(t) {
		t.Run(pod.name, func(t *testing.T) {
			spec := pod.Spec
			assert.False(t, deref(spec.AutomountServiceAccountToken, true), "a service-account token nobody needs")
			assert.False(t, deref(spec.EnableServiceLinks, true), "Services would inject MEMCACHED_PORT and the like")
			require.NotNil(t, spec.SecurityContext)
			assert.NotZero(t, deref(spec.SecurityContext.RunAsUser, 0), "runAsNonRoot needs a uid in numbers")
			for _, c := range pod.containers() {
				require.NotNil(t, c.SecurityContext, c.Name)
				assert.True(t, deref(c.SecurityContext.ReadOnlyRootFilesystem, false), "%s: read-only root", c.Name)
				assert.False(t, c.Resources.Requests.Cpu().IsZero(), "%s: CPU request", c.Name)
				assert.False(t, c.Resources.Requests.Memory().IsZero(), "%s: memory request", c.Name)
				assert.False(t, c.Resources.Limits.Memory().IsZero(), "%s: memory limit", c.Name)
				assert.True(t, c.Resources.Limits.Cpu().IsZero(), "%s: a CPU limit only adds latency", c.Name)
				assert.NotRegexp(t, `^[^:]*$|:latest$`, c.Image, "%s: an image without a tag", c.Name)
			}
		})
	}
}

func TestSidecarIsANativeSidecar(t *testing.T) {
	found := 0
	for _, pod := range pods(t) {
		t.Run(pod.name, func(t *testing.T) {
			for _, c := range pod.Spec.InitContainers {
				if !runsSidecar(&c) {
					continue
				}
				found++
				assert.Equal(t, corev1.ContainerRestartPolicyAlways, deref(c.RestartPolicy, ""))
				assert.Nil(t, c.ReadinessProbe, "an unready sidecar takes the whole pod out of its Services")
				assert.Nil(t, c.Lifecycle, "a preStop hook runs while the app still needs the sidecar")
				for route, probe := range map[string]*corev1.Probe{"/startupz": c.StartupProbe, "/livez": c.LivenessProbe} {
					require.NotNil(t, probe, route)
					require.NotNil(t, probe.HTTPGet, route)
					assert.Equal(t, route, probe.HTTPGet.Path)
					assert.EqualValues(t, opsPort, portOf(&c, probe.HTTPGet.Port), route)
				}
				window := c.StartupProbe.PeriodSeconds * c.StartupProbe.FailureThreshold
				assert.Greater(t, window, int32(15), "/startupz may take 10 s: fewer would restart the sidecar for ever")
			}
			for _, c := range pod.Spec.Containers {
				assert.False(t, runsSidecar(&c), "%s starts beside the app instead of before it", c.Name)
			}
		})
	}
	assert.Positive(t, found)
}

func TestOnlyTheSidecarSeesTheAppSecrets(t *testing.T) {
	secret := example(t)
	for _, pod := range pods(t) {
		t.Run(pod.name, func(t *testing.T) {
			volumes := map[string]corev1.Volume{}
			for _, v := range pod.Spec.Volumes {
				volumes[v.Name] = v
				if v.Secret == nil {
					continue
				}
				assert.Equal(t, secret.Name, v.Secret.SecretName)
				assert.EqualValues(t, 0o440, deref(v.Secret.DefaultMode, 0o644), "%s: owner and group only", v.Name)
				assert.Equal(t, pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.FSGroup,
					"the files belong to root: without fsGroup the sidecar cannot read them")
			}
			for _, c := range pod.containers() {
				for _, mount := range c.VolumeMounts {
					volume, ok := volumes[mount.Name]
					require.True(t, ok, "%s mounts %s, which the pod does not have", c.Name, mount.Name)
					if volume.Secret == nil {
						continue
					}
					assert.True(t, runsSidecar(&c), "%s must not see AppSecrets", c.Name)
					assert.True(t, mount.ReadOnly)
					assert.Empty(t, mount.SubPath, "a subPath is never updated")
					assert.Equal(t, mount.MountPath, value(&c, "WECHAT_ACCOUNTS_DIR"))
				}
			}
		})
	}
}

func TestVariablesAreTheProgramsOwn(t *testing.T) {
	sidecarVariables := words(t, "../sidecar/config.go", `env:"([A-Z_]+)"`)
	clientVariables := words(t, "../client/env.go", `"([A-Z]+_[A-Z_]+)"`)
	for _, pod := range pods(t) {
		t.Run(pod.name, func(t *testing.T) {
			for _, c := range pod.containers() {
				if !isOurs(&c) {
					assert.Empty(t, c.Env)
					continue
				}
				known := clientVariables
				if runsSidecar(&c) {
					known = slices.Concat(sidecarVariables, []string{"GOMEMLIMIT"}) // Go's own
				}
				for _, v := range c.Env {
					assert.Contains(t, known, v.Name, "container %s", c.Name)
				}
			}
		})
	}
}

func TestMemcachedIsNeverTwo(t *testing.T) {
	for _, d := range build(t, "memcached").deployments {
		assert.EqualValues(t, 1, deref(d.Spec.Replicas, 1))
		assert.EqualValues(t, "Recreate", d.Spec.Strategy.Type, "a rolling update runs the new one beside the old one")
	}
}
