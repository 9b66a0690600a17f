package k8s_test

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestServersAreServicesWithThatPort(t *testing.T) {
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			known := map[string]bool{}
			for _, s := range p.beside.services {
				for _, port := range s.Spec.Ports {
					known[s.Name+":"+strconv.Itoa(int(port.Port))] = true
				}
			}
			for _, c := range p.containers() {
				if !runsSidecar(&c) && !readsTokens(&c) {
					continue
				}
				servers := value(&c, "MEMCACHED_SERVERS")
				require.NotEmpty(t, servers, "%s: the default, 127.0.0.1, is this pod itself", c.Name)
				for server := range strings.SplitSeq(servers, ",") {
					assert.Contains(t, known, server, "container %s", c.Name)
				}
			}
		})
	}
}

func TestSelectorsMatchTheirPods(t *testing.T) {
	m := all(t)
	for name, d := range m.deployments {
		selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
		require.NoError(t, err)
		assert.Equal(t, []string{name}, m.matched(selector), "Deployment %s", name)
	}
	for name, s := range m.services {
		assert.Equal(t, []string{name}, m.matched(labels.SelectorFromSet(s.Spec.Selector)), "Service %s", name)
	}
	for name, p := range m.policies {
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		require.NoError(t, err)
		assert.Equal(t, []string{name}, m.matched(selector), "NetworkPolicy %s", name)
	}
}

func TestPortsAreDeclaredByTheirContainers(t *testing.T) {
	m := all(t)
	for name, s := range m.services {
		assert.Equal(t, corev1.ServiceTypeClusterIP, s.Spec.Type, "Service %s must stay inside the cluster", name)
		for _, p := range s.Spec.Ports {
			assert.True(t, m.serves(labels.SelectorFromSet(s.Spec.Selector), p.TargetPort), "Service %s: port %s", name, p.TargetPort.String())
		}
	}
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			for _, c := range p.containers() {
				for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
					switch {
					case probe == nil:
					case probe.HTTPGet != nil:
						assert.NotZero(t, portOf(&c, probe.HTTPGet.Port), "%s: port %s", c.Name, probe.HTTPGet.Port.String())
					case probe.TCPSocket != nil:
						assert.NotZero(t, portOf(&c, probe.TCPSocket.Port), "%s: port %s", c.Name, probe.TCPSocket.Port.String())
					}
				}
			}
		})
	}
}

func TestVolumesAreMountedAndMountsHaveTheirVolumes(t *testing.T) {
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			mounted := map[string]bool{}
			for _, c := range p.containers() {
				for _, mount := range c.VolumeMounts {
					mounted[mount.Name] = true
					assert.NotNil(t, p.volume(mount.Name), "%s mounts %s, which the pod does not have", c.Name, mount.Name)
				}
			}
			for _, v := range p.Spec.Volumes {
				assert.True(t, mounted[v.Name], "nobody mounts %s", v.Name)
				if v.ConfigMap != nil {
					assert.Contains(t, p.beside.configs, v.ConfigMap.Name)
				}
			}
		})
	}
}

func TestThePHPAppRunsTheScriptThatItMounts(t *testing.T) {
	m := build(t, "app-php-with-sidecar")
	p := pod{PodTemplateSpec: &m.deployments["app-php-with-sidecar"].Spec.Template}
	app := p.Spec.Containers[0]
	require.Equal(t, "php", app.Command[0], "a shell as process 1 would keep SIGTERM for itself")
	folder, script := path.Split(app.Command[1])
	for _, mount := range app.VolumeMounts {
		if mount.MountPath+"/" == folder {
			assert.Contains(t, m.configs[p.volume(mount.Name).ConfigMap.Name].Data, script)
			return
		}
	}
	assert.Fail(t, "nothing is mounted at "+folder)
}

// matched names the Deployments whose pods the selector matches.
func (m *manifests) matched(selector labels.Selector) []string {
	var names []string
	for name, d := range m.deployments {
		if selector.Matches(labels.Set(d.Spec.Template.Labels)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// serves tells whether the selector matches pods, and each of them has that port.
func (m *manifests) serves(selector labels.Selector, port intstr.IntOrString) bool {
	names := m.matched(selector)
	return len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool {
		return !pod{PodTemplateSpec: &m.deployments[name].Spec.Template}.has(port)
	})
}
