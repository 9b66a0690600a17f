package k8s_test

import (
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

func TestAppIDsAreKeysOfTheSecret(t *testing.T) {
	secret := example(t)
	assert.Equal(t, "wechat-accounts", secret.Name)
	assert.Empty(t, secret.Data, "base64 hides the example from its reader")
	assert.False(t, deref(secret.Immutable, false), "an AppSecret could not be rotated in place")
	require.NotEmpty(t, secret.StringData)
	for appID, appSecret := range secret.StringData {
		assert.Regexp(t, `^[A-Za-z0-9_-]{1,64}$`, appID)
		assert.NotRegexp(t, `^[0-9a-f]{32}$`, appSecret, "that looks like a real one")
	}
	for _, pod := range pods(t) {
		t.Run(pod.name, func(t *testing.T) {
			for _, c := range pod.containers() {
				if appID := value(&c, "WECHAT_APPID"); appID != "" {
					assert.Contains(t, secret.StringData, appID, "container %s", c.Name)
				}
			}
		})
	}
}

func TestServersAreServicesWithThatPort(t *testing.T) {
	for _, pod := range pods(t) {
		t.Run(pod.name, func(t *testing.T) {
			known := map[string]bool{}
			for _, s := range pod.beside.services {
				for _, p := range s.Spec.Ports {
					known[s.Name+":"+strconv.Itoa(int(p.Port))] = true
				}
			}
			for _, c := range pod.containers() {
				if !isOurs(&c) {
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
	for _, folder := range folders(t) {
		m := build(t, folder)
		for _, d := range m.deployments {
			selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
			require.NoError(t, err)
			assert.Equal(t, []string{d.Name}, m.matched(selector), "%s: Deployment %s", folder, d.Name)
		}
		for _, s := range m.services {
			assert.Equal(t, []string{s.Name}, m.matched(labels.SelectorFromSet(s.Spec.Selector)), "%s: Service %s", folder, s.Name)
		}
		for _, p := range m.policies {
			selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
			require.NoError(t, err)
			assert.Equal(t, []string{p.Name}, m.matched(selector), "%s: NetworkPolicy %s", folder, p.Name)
		}
	}
}

func TestPortsAreNamedInTheirContainers(t *testing.T) {
	for _, folder := range folders(t) {
		m := build(t, folder)
		for _, s := range m.services {
			assert.Equal(t, corev1.ServiceTypeClusterIP, s.Spec.Type, "Service %s must stay inside the cluster", s.Name)
			for _, p := range s.Spec.Ports {
				assert.True(t, m.serves(labels.SelectorFromSet(s.Spec.Selector), p.TargetPort), "%s: Service %s: no container has port %s", folder, s.Name, p.TargetPort.String())
			}
		}
		for _, p := range m.policies {
			selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
			require.NoError(t, err)
			for _, rule := range p.Spec.Ingress {
				for _, port := range rule.Ports {
					assert.True(t, m.serves(selector, *port.Port), "%s: NetworkPolicy %s: no container has port %s", folder, p.Name, port.Port.String())
				}
			}
		}
	}
	for _, pod := range pods(t) {
		t.Run(pod.name, func(t *testing.T) {
			for _, c := range pod.containers() {
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

// matched names the Deployments whose pods the selector matches.
func (m manifests) matched(selector labels.Selector) []string {
	var names []string
	for _, d := range m.deployments {
		if selector.Matches(labels.Set(d.Spec.Template.Labels)) {
			names = append(names, d.Name)
		}
	}
	return names
}

// serves tells whether every pod that the selector matches has a container with that port.
func (m manifests) serves(selector labels.Selector, port intstr.IntOrString) bool {
	for _, d := range m.deployments {
		has := func(c corev1.Container) bool { return portOf(&c, port) != 0 }
		if selector.Matches(labels.Set(d.Spec.Template.Labels)) && !slices.ContainsFunc(pod{PodTemplateSpec: &d.Spec.Template}.containers(), has) {
			return false
		}
	}
	return true
}
