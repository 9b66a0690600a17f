// Package k8s_test checks the manifests of this folder offline. It builds each folder as `kubectl apply -k` does, and
// decodes it strictly into the types of the Kubernetes API: a misspelled field is an error. It checks Pod Security
// `restricted` and the cross references, and runs the PHP app of the manifests. kube-score and the cluster suite in e2e
// check the rest.
//
// A module of its own, so Kubernetes' libraries reach no user of the program or the client.
package k8s_test

import (
	"bytes"
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// secretExample is the only manifest that no kustomization includes: users create their own Secrets.
const secretExample = "secret.example.yaml"

// manifests are the objects of one or several `kubectl apply -k`, by name.
type manifests struct {
	deployments map[string]*appsv1.Deployment
	stateful    map[string]*appsv1.StatefulSet
	services    map[string]*corev1.Service
	policies    map[string]*networkingv1.NetworkPolicy
	budgets     map[string]*policyv1.PodDisruptionBudget
	configs     map[string]*corev1.ConfigMap
	secrets     map[string]*corev1.Secret
	customs     map[string]metav1.Object // by Kind/name: of the Prometheus Operator and other operators
}

func newManifests() manifests {
	return manifests{
		map[string]*appsv1.Deployment{},
		map[string]*appsv1.StatefulSet{},
		map[string]*corev1.Service{},
		map[string]*networkingv1.NetworkPolicy{},
		map[string]*policyv1.PodDisruptionBudget{},
		map[string]*corev1.ConfigMap{},
		map[string]*corev1.Secret{},
		map[string]metav1.Object{},
	}
}

// render returns the decoded output of `kubectl kustomize folder`, in its order.
func render(t *testing.T, folder string) (objects []runtime.Object) {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	require.NoError(t, err, "kustomize build %s", folder)
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		require.NoError(t, err)
		objects = append(objects, decode(t, text))
	}
	return objects
}

// build returns the output of `kubectl kustomize folder` by kind and name.
func build(t *testing.T, folder string) manifests {
	t.Helper()
	m := newManifests()
	for _, object := range render(t, folder) {
		m.add(t, object)
	}
	return m
}

// all returns the objects of every folder.
func all(t *testing.T) manifests {
	t.Helper()
	m := newManifests()
	for _, folder := range folders(t) {
		one := build(t, folder)
		maps.Copy(m.deployments, one.deployments)
		maps.Copy(m.stateful, one.stateful)
		maps.Copy(m.services, one.services)
		maps.Copy(m.policies, one.policies)
		maps.Copy(m.budgets, one.budgets)
		maps.Copy(m.configs, one.configs)
		maps.Copy(m.customs, one.customs)
	}
	return m
}

// add adds an object. An unknown kind fails the test: add the kind here, and a test of its references.
func (m *manifests) add(t *testing.T, object runtime.Object) {
	t.Helper()
	switch o := object.(type) {
	case *appsv1.Deployment:
		m.deployments[o.Name] = o
	case *appsv1.StatefulSet:
		m.stateful[o.Name] = o
	case *corev1.Service:
		m.services[o.Name] = o
	case *networkingv1.NetworkPolicy:
		m.policies[o.Name] = o
	case *policyv1.PodDisruptionBudget:
		m.budgets[o.Name] = o
	case *corev1.ConfigMap:
		m.configs[o.Name] = o
	case *corev1.Secret:
		m.secrets[o.Name] = o
	case *monitoringv1.PodMonitor:
		m.customs[o.Kind+"/"+o.Name] = o
	case *monitoringv1.PrometheusRule:
		m.customs[o.Kind+"/"+o.Name] = o
	default:
		require.Failf(t, "unknown kind", "%T has no test of its references yet", o)
	}
}

// objects returns everything except Secrets, by kind and name.
func (m *manifests) objects() map[string]metav1.Object {
	found := maps.Clone(m.customs)
	add(found, "Deployment", m.deployments)
	add(found, "StatefulSet", m.stateful)
	add(found, "Service", m.services)
	add(found, "NetworkPolicy", m.policies)
	add(found, "PodDisruptionBudget", m.budgets)
	add(found, "ConfigMap", m.configs)
	return found
}

func add[O metav1.Object](to map[string]metav1.Object, kind string, from map[string]O) {
	for name, o := range from {
		to[kind+"/"+name] = o
	}
}

// decode fails on unknown and repeated fields, as `kubectl apply --validate=strict` does.
func decode(t *testing.T, text []byte) runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
		monitoringv1.AddToScheme, kustomizev1.AddToScheme, sourcev1.AddToScheme, addOthers,
	} {
		require.NoError(t, add(scheme))
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	object, _, err := decoder.Decode(text, nil, nil)
	require.NoError(t, err, "%s", text)
	return object
}

// folders returns those for `kubectl apply -k`.
func folders(t *testing.T) []string {
	t.Helper()
	return foldersOf(t, "Kustomization")
}

// components returns the kustomize Components, which other kustomizations name.
func components(t *testing.T) []string {
	t.Helper()
	return foldersOf(t, "Component")
}

func foldersOf(t *testing.T, kind string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("*/kustomization.yaml")
	require.NoError(t, err)
	for _, file := range files {
		if slices.Equal(words(t, file, `(?m)^kind: (.*)$`), []string{kind}) {
			found = append(found, filepath.Dir(file))
		}
	}
	require.NotEmpty(t, found, kind)
	return found
}

// examples returns the Secrets of secret.example.yaml.
func examples(t *testing.T) map[string]*corev1.Secret {
	t.Helper()
	m := newManifests()
	for document := range bytes.SplitSeq(read(t, secretExample), []byte("\n---\n")) {
		m.add(t, decode(t, document))
	}
	require.Empty(t, m.objects(), "%s has more than Secrets", secretExample)
	return m.secrets
}

// listed returns the files and folders that a folder's kustomization names.
func listed(t *testing.T, folder string) []string {
	t.Helper()
	var k struct {
		Resources []string `json:"resources"`
		Patches   []struct {
			Path string `json:"path"`
		} `json:"patches"`
		ConfigMapGenerator []struct {
			Files []string `json:"files"`
		} `json:"configMapGenerator"`
	}
	require.NoError(t, yaml.Unmarshal(read(t, filepath.Join(folder, "kustomization.yaml")), &k))
	for _, generated := range k.ConfigMapGenerator {
		for _, file := range generated.Files { // NAME or KEY=NAME
			k.Resources = append(k.Resources, file[strings.IndexByte(file, '=')+1:])
		}
	}
	for _, patch := range k.Patches {
		k.Resources = append(k.Resources, patch.Path)
	}
	return k.Resources
}

// words returns the matches of the pattern's group in a file.
func words(t *testing.T, file, pattern string) []string {
	t.Helper()
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(read(t, file)), -1) {
		found = append(found, match[1])
	}
	require.NotEmpty(t, found, "%s has nothing like %s", file, pattern)
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return text
}

// sorted returns a map's keys in order.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// hash matches the suffix that kustomize adds to the name of a generated ConfigMap.
var hash = regexp.MustCompile(`-[bcdfghkmt2456789]{10}$`)

// deref returns *p, or Kubernetes' default if p is nil.
func deref[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}
