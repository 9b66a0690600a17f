package k8s_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// injected are the workloads of the shop with the label.
var injected = []string{"CronJob/shop-report", "DaemonSet/shop-agent", "Deployment/shop", "Job/shop-migrate", "StatefulSet/shop-orders"}

// The sidecar comes first, and everything else stays as it was.
func TestComponent_ChangesNothingElse(t *testing.T) {
	was, is := templates(t, team(t, without)), templates(t, render(t, shop))
	require.Equal(t, sorted(was), sorted(is))
	for name, template := range is {
		t.Run(name, func(t *testing.T) {
			if slices.Contains(injected, name) {
				sidecar := template.Spec.InitContainers[0]
				require.Equal(t, "wxsidecar", sidecar.Name, "an app's own init containers can read a token")
				assert.Equal(t, "wxsidecar:dev", sidecar.Image, "the team's image")
				assert.Equal(t, corev1.ContainerRestartPolicyAlways, deref(sidecar.RestartPolicy, ""))
				uninject(t, template)
			}
			assert.Equal(t, was[name], template)
		})
	}
}

// uninject takes out what the Component of a native sidecar adds.
func uninject(t *testing.T, template *corev1.PodTemplateSpec) {
	t.Helper()
	patch := patchOf(t, "sidecar/workload.yaml")
	for label, value := range patch.Labels {
		assert.Equal(t, value, template.Labels[label])
		delete(template.Labels, label)
	}
	template.Spec.InitContainers = slices.DeleteFunc(template.Spec.InitContainers, func(c corev1.Container) bool { return runsSidecar(&c) })
	template.Spec.Volumes = slices.DeleteFunc(template.Spec.Volumes, func(v corev1.Volume) bool { return strings.HasPrefix(v.Name, "wxsidecar-") })
	if len(template.Spec.InitContainers) == 0 {
		template.Spec.InitContainers = nil
	}
	if len(template.Spec.Volumes) == 0 {
		template.Spec.Volumes = nil
	}
}

// The six lines of the shop need no other kustomization, and make the same text each time,
// without generated names: Argo CD and Flux see no change without a cause.
func TestComponent_SixLines(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(string(read(t, shop+"/kustomization.yaml"))), "\n")
	assert.Len(t, lines, 6)
	first, err := yaml.Marshal(render(t, shop))
	require.NoError(t, err)
	second, err := yaml.Marshal(render(t, shop))
	require.NoError(t, err)
	assert.Equal(t, string(first), string(second))
	for name := range templates(t, render(t, shop)) {
		assert.NotRegexp(t, hash, name)
	}
}

// The two patches are one. Comments in them would be copied, and break a workload in flow
// style.
func TestComponent_Patches(t *testing.T) {
	for _, folder := range []string{"sidecar", "sidecar-socket"} {
		assert.Equal(t, patchOf(t, folder+"/workload.yaml"), patchOf(t, folder+"/cronjob.yaml"))
	}
	for _, folder := range components(t) {
		for _, file := range listed(t, folder) {
			if file != "" {
				assert.NotContains(t, string(read(t, folder+"/"+file)), "#", folder)
			}
		}
	}
}

// env has precedence over envFrom. So env has nothing that a team sets.
func TestComponent_LeavesSettingsToTheTeam(t *testing.T) {
	var own []string
	sidecar := patchOf(t, "sidecar/workload.yaml").Spec.InitContainers[0]
	for _, v := range slices.Concat(sidecar.Env, patchOf(t, "sidecar-socket/workload.yaml").Spec.InitContainers[0].Env) {
		own = append(own, v.Name)
	}
	assert.Equal(t, []string{"WECHAT_ACCOUNTS_DIR", "GOMEMLIMIT", "SIDECAR_LISTEN"}, own, "each goes with a mount or a limit of the patch")

	var from []string
	for _, source := range sidecar.EnvFrom {
		from = append(from, source.ConfigMapRef.Name)
		assert.True(t, deref(source.ConfigMapRef.Optional, false), source.ConfigMapRef.Name)
	}
	defaults := build(t, "namespace").configs["wxsidecar-defaults"]
	require.NotNil(t, defaults)
	assert.Equal(t, []string{defaults.Name, "wxsidecar"}, from, "the last one has precedence")
	known := words(t, "../sidecar/config.go", `env:"([A-Z_]+)"`)
	for name := range defaults.Data {
		assert.Contains(t, known, name)
	}
}

// The sidecar brings what Pod Security `restricted` demands, whatever the pod has.
func TestComponent_Hardened(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	require.NoError(t, err)
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, one := range components(t) {
		for name, template := range templates(t, team(t, withComponents(one))) {
			for _, result := range evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec) {
				assert.True(t, result.Allowed, "%s, %s: %s: %s", one, name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
	}
	own := patchOf(t, "sidecar/workload.yaml").Spec.InitContainers[0].SecurityContext
	assert.EqualValues(t, 65532, deref(own.RunAsUser, 0), "under a pod with runAsUser: 0 too")
	assert.EqualValues(t, 65532, deref(own.RunAsGroup, 0))
	assert.True(t, deref(own.RunAsNonRoot, false))
	require.NotNil(t, own.SeccompProfile)
}

// The Secret and the defaults keep their names with the transformers of a team's own
// kustomization. A ConfigMap that it generates is found by its hashed name.
func TestComponent_TransformersOfATeam(t *testing.T) {
	objects := team(t, withComponents("sidecar")+`
namespace: shop-test
namePrefix: test-
labels: [{pairs: {team: shop}, includeTemplates: true}]
configMapGenerator: [{name: wxsidecar, literals: [WECHAT_TICKETS=jsapi]}]
`)
	template := templates(t, objects)["Deployment/test-shop"]
	require.NotNil(t, template)
	assert.Equal(t, map[string]string{
		"app.kubernetes.io/name": "shop", "tier": "web", "team": "shop", "wxsidecar/reader": "true", "wxsidecar/sidecar": "true",
	}, template.Labels)
	sidecar := template.Spec.InitContainers[0]
	assert.Equal(t, "wxsidecar-defaults", sidecar.EnvFrom[0].ConfigMapRef.Name)
	assert.Regexp(t, `^test-wxsidecar-[a-z0-9]{10}$`, sidecar.EnvFrom[1].ConfigMapRef.Name)
	accounts := pod{PodTemplateSpec: template}.volume(sidecar.VolumeMounts[0].Name)
	require.NotNil(t, accounts)
	assert.Equal(t, accountsSecret, accounts.Secret.SecretName)
}

// What k8s/namespace says of the transformers of others: two break it.
func TestNamespace_TransformersThatBreakIt(t *testing.T) {
	renamed := manifestsOf(t, "resources: [K8S/namespace]\nnamePrefix: shop-\n")
	assert.Contains(t, renamed.services, "shop-memcached")
	assert.Equal(t, "memcached:11211", renamed.configs["shop-wxsidecar-defaults"].Data["MEMCACHED_SERVERS"], "the Service has another name")

	selected := manifestsOf(t, "resources: [K8S/namespace]\nlabels: [{pairs: {team: shop}, includeSelectors: true}]\n")
	assert.Equal(t, map[string]string{"wxsidecar/reader": "true", "team": "shop"}, admitted(selected.policies["memcached"]))

	fine := manifestsOf(t, "resources: [K8S/namespace]\nnamespace: shop\nlabels: [{pairs: {team: shop}}]\n")
	assert.Contains(t, fine.services, "memcached")
	assert.Equal(t, reader, admitted(fine.policies["memcached"]))
}

func admitted(p *networkingv1.NetworkPolicy) map[string]string {
	return p.Spec.Ingress[0].From[0].PodSelector.MatchLabels
}

func manifestsOf(t *testing.T, kustomization string) manifests {
	t.Helper()
	m := newManifests()
	for _, object := range team(t, kustomization) {
		m.add(t, object)
	}
	return m
}

// An older API server ignores restartPolicy, and would then wait for an init container
// that never ends. The sidecar is the first container. A Job has none.
func TestOlderClusters_OrdinaryContainer(t *testing.T) {
	was := templates(t, team(t, withComponents("sidecar")))
	for name, is := range templates(t, team(t, withComponents("sidecar-older"))) {
		t.Run(name, func(t *testing.T) {
			native := was[name]
			switch {
			case !slices.Contains(injected, name):
			case strings.Contains(name, "Job/"):
				uninject(t, native)
				native.Labels = maps.Clone(is.Labels)
				assert.Equal(t, "true", is.Labels["wxsidecar/reader"], "it reads memcached")
			default:
				first := native.Spec.InitContainers[0]
				first.RestartPolicy = nil
				native.Spec.Containers = slices.Concat([]corev1.Container{first}, native.Spec.Containers)
				native.Spec.InitContainers = native.Spec.InitContainers[1:]
			}
			native.Spec.InitContainers, is.Spec.InitContainers = nonNil(native.Spec.InitContainers), nonNil(is.Spec.InitContainers)
			native.Spec.Volumes, is.Spec.Volumes = nonNil(native.Spec.Volumes), nonNil(is.Spec.Volumes)
			assert.Equal(t, native, is)
		})
	}
}

// nonNil makes an empty list of none.
func nonNil[T any](list []T) []T { return append([]T{}, list...) }

// The socket's Component adds the volume, and works for older clusters too.
func TestSocket_OfEachSidecar(t *testing.T) {
	for _, names := range [][]string{{"sidecar-socket"}, {"sidecar-socket", "sidecar-older"}} {
		objects := templates(t, team(t, withComponents(names...)))
		for _, name := range injected {
			if strings.Contains(name, "Job/") && len(names) > 1 {
				continue
			}
			p := pod{PodTemplateSpec: objects[name]}
			sidecar := p.sidecar()
			require.NotNil(t, sidecar, name)
			assert.Equal(t, "unix:///run/wxsidecar/api.sock", value(sidecar, "SIDECAR_LISTEN"))
			assert.Equal(t, "/etc/wechat-accounts", value(sidecar, "WECHAT_ACCOUNTS_DIR"), "what ../sidecar sets stays")
			mount := mountOf(sidecar, "wxsidecar-socket")
			require.NotNil(t, mount, name)
			assert.Equal(t, "/run/wxsidecar", mount.MountPath)
			require.NotNil(t, p.volume("wxsidecar-socket"), name)
			assert.NotNil(t, p.volume("wxsidecar-socket").EmptyDir.SizeLimit, "it may fill the node")
		}
	}
}

// The README of the socket shows what app-php-with-sidecar has.
func TestSocket_READMEIsTheExample(t *testing.T) {
	snippet := yamlOf(t, "sidecar-socket/README.md", "wxsidecar-socket")
	var shown, example appsv1.Deployment
	require.NoError(t, yaml.UnmarshalStrict([]byte(snippet), &shown))
	example = *build(t, "app-php-with-sidecar").deployments["app-php-with-sidecar"]
	assert.Equal(t, example.Spec.Template.Spec.SecurityContext, shown.Spec.Template.Spec.SecurityContext)
	app, want := example.Spec.Template.Spec.Containers[0], shown.Spec.Template.Spec.Containers[0]
	assert.Equal(t, value(&want, "SIDECAR_URL"), value(&app, "SIDECAR_URL"))
	assert.Equal(t, mountOf(&want, "wxsidecar-socket"), mountOf(&app, "wxsidecar-socket"))
}

// The snippet for teams without kustomize is the Component's patch, with comments.
func TestSnippet_IsTheComponent(t *testing.T) {
	var shown corev1.PodTemplateSpec
	require.NoError(t, yaml.UnmarshalStrict([]byte(yamlOf(t, "../docs/install/kubernetes.md", "restartPolicy: Always")), &shown))
	assert.Equal(t, patchOf(t, "sidecar/workload.yaml"), &shown)
}

// yamlOf returns the only YAML block of a page with this text.
func yamlOf(t *testing.T, page, with string) string {
	t.Helper()
	var found []string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(read(t, page)), -1) {
		if strings.Contains(block[1], with) {
			found = append(found, block[1])
		}
	}
	require.Len(t, found, 1, "%s: blocks with %s", page, with)
	return found[0]
}
