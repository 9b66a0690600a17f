// Package k8s_test holds the manifests of this folder to what they promise, offline: each is built as
// `kubectl apply -k` builds it, decoded strictly into the types of the Kubernetes API (a misspelt field is an error),
// held against Pod Security `restricted`, and its cross references are followed.
//
// A module of its own: Kubernetes' libraries reach no user of the program or the client.
package k8s_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// secretExample is the one manifest that no kustomization includes: the user writes a Secret of their own.
const secretExample = "secret.example.yaml"

// manifests is what one `kubectl apply -k` brings.
type manifests struct {
	deployments []*appsv1.Deployment
	services    []*corev1.Service
	policies    []*networkingv1.NetworkPolicy
	secrets     []*corev1.Secret
}

// build is `kubectl kustomize folder`, decoded. A kind that it does not know fails the test: add it here together with
// the test of what it refers to.
func build(t *testing.T, folder string) manifests {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	require.NoError(t, err, "kustomize build %s", folder)
	var m manifests
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		require.NoError(t, err)
		m.add(t, decode(t, text))
	}
	return m
}

func (m *manifests) add(t *testing.T, object runtime.Object) {
	t.Helper()
	switch o := object.(type) {
	case *appsv1.Deployment:
		m.deployments = append(m.deployments, o)
	case *corev1.Service:
		m.services = append(m.services, o)
	case *networkingv1.NetworkPolicy:
		m.policies = append(m.policies, o)
	case *corev1.Secret:
		m.secrets = append(m.secrets, o)
	default:
		require.Failf(t, "unknown kind", "%T has no test of its references yet", o)
	}
}

// decode refuses unknown and doubled fields, as `kubectl apply --validate=strict` does.
func decode(t *testing.T, text []byte) runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme} {
		require.NoError(t, add(scheme))
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	object, _, err := decoder.Decode(text, nil, nil)
	require.NoError(t, err, "%s", text)
	return object
}

// folders are those that a user may `kubectl apply -k`.
func folders(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*/kustomization.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found
}

// pod is one pod template of one folder.
type pod struct {
	*corev1.PodTemplateSpec
	name   string    // folder/Deployment
	beside manifests // all that is applied with it
}

// pods are all that any folder brings.
func pods(t *testing.T) []pod {
	t.Helper()
	var all []pod
	for _, folder := range folders(t) {
		m := build(t, folder)
		for _, d := range m.deployments {
			all = append(all, pod{&d.Spec.Template, folder + "/" + d.Name, m})
		}
	}
	return all
}

// containers are all of the pod's, the native sidecars among them.
func (p pod) containers() []corev1.Container {
	return slices.Concat(p.Spec.InitContainers, p.Spec.Containers)
}

// example is secret.example.yaml.
func example(t *testing.T) *corev1.Secret {
	t.Helper()
	text, err := os.ReadFile(secretExample)
	require.NoError(t, err)
	secret, ok := decode(t, text).(*corev1.Secret)
	require.True(t, ok, "%s is no Secret", secretExample)
	return secret
}

// listed are the resources that a folder's kustomization names.
func listed(t *testing.T, folder string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
	require.NoError(t, err)
	var k struct {
		Resources []string `json:"resources"`
	}
	require.NoError(t, yaml.Unmarshal(text, &k))
	return k.Resources
}

// words are what the pattern's group matches in a source file of the program: the one place where a variable stands.
func words(t *testing.T, file, pattern string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		found = append(found, match[1])
	}
	require.NotEmpty(t, found, "%s has nothing like %s", file, pattern)
	return found
}

// portOf is the container's port of that name or number, 0 where it declares none.
func portOf(c *corev1.Container, port intstr.IntOrString) int32 {
	for _, p := range c.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
			return p.ContainerPort
		}
	}
	return 0
}

// value is the container's variable of that name, "" where it has none.
func value(c *corev1.Container, name string) string {
	for _, v := range c.Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// deref is *p, or what Kubernetes takes where nothing is said.
func deref[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}
