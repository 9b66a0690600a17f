package k8s_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// repository is the repository of a team, with the files that the page shows. Each begins with its path.
type repository struct {
	folder string
	files  map[string]string // by path
}

const overlaysPage = "../docs/install/kubernetes.md"

var shownFile = regexp.MustCompile("(?ms)^```yaml\n# ([a-z-]+/[a-z-]+\\.yaml)\n(.*?)^```$")

// newRepository writes the files beside the project, as the page says.
func newRepository(t *testing.T) repository {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	r := repository{folder, map[string]string{}}
	require.NoError(t, os.CopyFS(filepath.Join(folder, "wxsidecar", "k8s"), os.DirFS(".")))
	for _, shown := range shownFile.FindAllStringSubmatch(string(read(t, overlaysPage)), -1) {
		require.NotContains(t, r.files, shown[1], "twice")
		r.files[shown[1]] = shown[2]
		require.NoError(t, os.MkdirAll(filepath.Join(folder, filepath.Dir(shown[1])), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(folder, shown[1]), []byte(shown[2]), 0o600))
	}
	return r
}

// folders returns those that a team applies with `kubectl apply -k`.
func (r repository) folders() (found []string) {
	for _, file := range sorted(r.files) {
		if path.Base(file) == "kustomization.yaml" {
			found = append(found, path.Dir(file))
		}
	}
	return found
}

// kustomization returns that of a folder. An unknown field fails the test.
func (r repository) kustomization(t *testing.T, folder string) (k types.Kustomization) {
	t.Helper()
	require.NoError(t, yaml.UnmarshalStrict([]byte(r.files[folder+"/kustomization.yaml"]), &k), folder)
	return k
}

// render returns what `kubectl apply -k` applies.
func (r repository) render(t *testing.T, folder string) []runtime.Object {
	t.Helper()
	return render(t, filepath.Join(r.folder, folder))
}

// shopOf returns the app's pod in an environment, and the ConfigMap with the settings.
func (r repository) shopOf(t *testing.T, folder string) (pod, *corev1.ConfigMap) {
	t.Helper()
	objects := r.render(t, folder)
	template := templates(t, objects)["Deployment/shop"]
	require.NotNil(t, template, folder)
	p := pod{PodTemplateSpec: template, name: folder}
	require.NotNil(t, p.sidecar(), folder)
	for _, object := range objects {
		if config, ok := object.(*corev1.ConfigMap); ok && hash.MatchString(config.Name) {
			return p, config
		}
	}
	require.Fail(t, "no ConfigMap with settings", folder)
	return pod{}, nil
}

// environments are the folders with the app in a namespace.
var environments = []string{"production", "rented", "staging"}

// Each kustomization builds. Its objects have their own types, and are in its namespace. None is a Secret.
func TestOverlays_Build(t *testing.T) {
	r := newRepository(t)
	operator, shared := build(t, operatorFolder), build(t, "namespace")
	want := map[string][]string{
		"shop": {"Deployment/shop"}, "rented": {"ConfigMap/wxsidecar", "Deployment/shop"}, "monitoring": sorted(operator.objects()),
	}
	for _, environment := range []string{"staging", "production"} {
		want[environment] = append(sorted(shared.objects()), "ConfigMap/wxsidecar", "Deployment/shop")
	}
	want["production"] = append(want["production"], "ExternalSecret/wechat-accounts")
	require.ElementsMatch(t, sorted(want), r.folders())
	for folder, names := range want {
		namespace := r.kustomization(t, folder).Namespace
		assert.Equal(t, folder != "shop", namespace != "", folder)
		var found []string
		for _, object := range r.render(t, folder) {
			named, err := meta.Accessor(object)
			require.NoError(t, err)
			found = append(found, object.GetObjectKind().GroupVersionKind().Kind+"/"+hash.ReplaceAllString(named.GetName(), ""))
			assert.Equal(t, namespace, named.GetNamespace(), "%s of %s", named.GetName(), folder)
		}
		assert.ElementsMatch(t, names, found, folder)
	}
}

// No file is shown in vain: a kustomization, what one names, or an object of Argo CD or Flux.
func TestOverlays_EveryFileIsUsed(t *testing.T) {
	r := newRepository(t)
	for file := range r.files {
		folder, name := path.Split(file)
		if folder = path.Clean(folder); name == "kustomization.yaml" || folder == "argocd" || folder == "flux" {
			continue
		}
		k := r.kustomization(t, folder)
		for _, patch := range k.Patches {
			k.Resources = append(k.Resources, patch.Path)
		}
		assert.Contains(t, k.Resources, name, file)
	}
}

// Two environments with the app have the same sidecar, in two namespaces.
func TestOverlays_Environments(t *testing.T) {
	r := newRepository(t)
	namespaces := map[string]bool{}
	for _, folder := range []string{"staging", "production"} {
		namespaces[r.kustomization(t, folder).Namespace] = true
		_, settings := r.shopOf(t, folder)
		assert.Equal(t, "stable_token", settings.Data["WECHAT_TOKEN_API"], "%s: both have one AppID and two memcacheds", folder)
	}
	assert.Len(t, namespaces, 2)
}

// The sidecar and the app read the settings, whose names exist. Nothing else of the project is changed.
func TestOverlays_SettingsReachSidecarAndApp(t *testing.T) {
	r := newRepository(t)
	known := words(t, "../sidecar/config.go", `env:"([A-Z_]+)"`)
	for _, folder := range environments {
		p, settings := r.shopOf(t, folder)
		for _, c := range []corev1.Container{*p.sidecar(), p.Spec.Containers[0]} {
			var from []string
			for _, source := range c.EnvFrom {
				from = append(from, source.ConfigMapRef.Name)
			}
			assert.Equal(t, []string{defaults, settings.Name}, from, "%s of %s", c.Name, folder)
		}
		for name := range settings.Data {
			assert.Contains(t, known, name, folder)
		}
	}
}

// The image of an environment is a tag or a digest, and the app's stays.
func TestOverlays_Images(t *testing.T) {
	r := newRepository(t)
	for folder, want := range map[string]string{
		"staging": `^registry\.example\.com/wxsidecar:v\d+\.\d+\.\d+$`, "production": `^registry\.example\.com/wxsidecar@sha256:[0-9a-f]{64}$`,
	} {
		p, _ := r.shopOf(t, folder)
		assert.Regexp(t, want, p.sidecar().Image, folder)
		assert.Equal(t, "registry.example.com/shop:v1.2.3", p.Spec.Containers[0].Image, folder)
	}
}

// With a rented memcached, the files of the settings are in a Secret that sidecar and app mount, and the page's command
// creates.
func TestOverlays_RentedMemcached(t *testing.T) {
	p, settings := newRepository(t).shopOf(t, "rented")
	v := p.volume("memcached")
	require.NotNil(t, v)
	require.NotNil(t, v.Secret)
	keys := words(t, overlaysPage, `kubectl create secret generic -n shop memcached --from-file=(\S+)=\./ca\.crt`)
	keys = append(keys, words(t, overlaysPage, `kubectl create secret generic -n shop memcached .* --from-file=(\S+)=\./auth\.txt`)...)
	for _, c := range []corev1.Container{*p.sidecar(), p.Spec.Containers[0]} {
		mount := mountOf(&c, v.Name)
		require.NotNil(t, mount, c.Name)
		assert.Empty(t, mount.SubPath, "a subPath is never updated")
		assert.Equal(t, []string{path.Join(mount.MountPath, keys[0]), path.Join(mount.MountPath, keys[1])},
			[]string{settings.Data["MEMCACHED_CA_FILE"], settings.Data["MEMCACHED_AUTH_FILE"]}, c.Name)
	}
	assert.Equal(t, "true", settings.Data["MEMCACHED_TLS"])
	assert.Equal(t, []string{"wxsidecar"}, containersOf(p.Spec.InitContainers), "the patch adds to the sidecar")
	assert.Equal(t, []string{"shop"}, containersOf(p.Spec.Containers))
	assert.Equal(t, "/etc/wechat-accounts", mountOf(p.sidecar(), "wxsidecar-accounts").MountPath)
}

func containersOf(containers []corev1.Container) (names []string) {
	for _, c := range containers {
		names = append(names, c.Name)
	}
	return names
}

// External Secrets writes the Secret that the sidecars mount.
func TestOverlays_ExternalSecret(t *testing.T) {
	p, _ := newRepository(t).shopOf(t, "production")
	for _, object := range newRepository(t).render(t, "production") {
		if secret, ok := object.(*externalSecret); ok {
			assert.Equal(t, p.volume("wxsidecar-accounts").Secret.SecretName, secret.Spec.Target.Name)
			require.Len(t, secret.Spec.DataFrom, 1, "every property is an account")
			assert.NotEmpty(t, secret.Spec.DataFrom[0].Extract.Key)
			assert.Positive(t, secret.Spec.RefreshInterval.Duration)
			return
		}
	}
	assert.Fail(t, "no ExternalSecret")
}

// Argo CD and Flux apply a folder that the page shows, into its namespace.
func TestOverlays_GitOps(t *testing.T) {
	r := newRepository(t)
	argo, ok := decode(t, []byte(r.files["argocd/shop.yaml"])).(*application)
	require.True(t, ok)
	assert.Contains(t, r.folders(), argo.Spec.Source.Path)
	assert.Equal(t, r.kustomization(t, argo.Spec.Source.Path).Namespace, argo.Spec.Destination.Namespace)
	assert.Equal(t, []string{"CreateNamespace=true"}, argo.Spec.SyncPolicy.SyncOptions)

	documents := strings.Split(r.files["flux/shop.yaml"], "\n---\n")
	require.Len(t, documents, 2)
	source, ok := decode(t, []byte(documents[0])).(*sourcev1.GitRepository)
	require.True(t, ok)
	flux, ok := decode(t, []byte(documents[1])).(*kustomizev1.Kustomization)
	require.True(t, ok)
	assert.Equal(t, []string{"GitRepository", source.Name, source.Namespace}, []string{flux.Spec.SourceRef.Kind, flux.Spec.SourceRef.Name, flux.Namespace})
	assert.True(t, source.Spec.RecurseSubmodules, "the project is a submodule")
	assert.Contains(t, r.folders(), path.Clean(flux.Spec.Path))
	assert.Equal(t, argo.Spec.Source.RepoURL, source.Spec.URL)
}

// The labels that Prometheus selects by reach both objects.
func TestOverlays_MonitoringLabels(t *testing.T) {
	r := newRepository(t)
	var labelled []string
	for _, object := range r.render(t, "monitoring") {
		named, ok := object.(metav1.Object)
		require.True(t, ok)
		if named.GetLabels()["release"] != "" {
			labelled = append(labelled, object.GetObjectKind().GroupVersionKind().Kind)
		}
	}
	assert.True(t, slices.Contains(labelled, "PodMonitor") && slices.Contains(labelled, "PrometheusRule"), "%v", labelled)
}
