//go:build cluster

package e2e_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// overlay is a folder of k8s/ with the suite's changes: strategic merge patches of
// its Deployments, by name.
type overlay struct {
	folder     string
	beside     []string            // further folders
	files      []string            // manifests of k8s/
	components []string            // Components of k8s/
	fields     object              // further fields of the kustomization
	patches    map[string][]object // of a Deployment's spec
	targets    []object            // further patches, each with its target
}

// toFakeEverywhere mounts the suite's certificate authority into every injected sidecar.
// The ConfigMap of [space.settings] has the rest.
func (o overlay) toFakeEverywhere() overlay {
	template := object{"template": object{"spec": object{
		"initContainers": []object{{
			"name": "wxsidecar", "volumeMounts": []object{{"name": "wechat-ca", "mountPath": "/etc/wechat-ca", "readOnly": true}},
		}},
		"volumes": []object{{"name": "wechat-ca", "configMap": object{"name": "wechat-ca"}}},
	}}}
	for kind, spec := range map[string]object{
		"Deployment|StatefulSet|DaemonSet|Job": template, "CronJob": {"jobTemplate": object{"spec": template}},
	} {
		patch, _ := json.Marshal(namedObject("apps/v1", "Deployment", "any", object{"spec": spec})) // it cannot fail
		o.targets = append(o.targets, object{
			"patch": string(patch), "target": object{"kind": kind, "labelSelector": "wxsidecar/inject=true"},
		})
	}
	return o
}

// toFake makes the sidecar of a Deployment use the fake WeChat, by the Service's
// name, with the suite's certificate authority.
func (o overlay) toFake(deployment, containers string) overlay {
	return o.with(deployment, object{"template": object{"spec": object{
		containers: []object{{
			"name": "wxsidecar",
			"env": []object{
				{"name": "WECHAT_BASE_URL", "value": "https://fakewechat"},
				{"name": "SSL_CERT_FILE", "value": "/etc/wechat-ca/ca.crt"},
			},
			"volumeMounts": []object{{"name": "wechat-ca", "mountPath": "/etc/wechat-ca", "readOnly": true}},
		}},
		"volumes": []object{{"name": "wechat-ca", "configMap": object{"name": "wechat-ca"}}},
	}}})
}

// withReader replaces the app with a reader that counts.
func (o overlay) withReader(deployment string) overlay { //nolint:unparam // as its siblings
	return o.with(deployment, object{"template": object{"spec": object{
		"containers": []object{{"name": "app", "image": "wxsidecar-e2e:dev", "args": []string{"read"}}},
	}}})
}

// withReplicas sets the number of pods.
func (o overlay) withReplicas(deployment string, n int) overlay {
	return o.with(deployment, object{"replicas": n})
}

func (o overlay) with(deployment string, spec object) overlay {
	patches := map[string][]object{deployment: nil}
	for name, specs := range o.patches {
		patches[name] = specs
	}
	patches[deployment] = append(patches[deployment][:len(patches[deployment]):len(patches[deployment])], spec)
	o.patches = patches
	return o
}

// applyOverlay runs `kubectl apply -k`.
func (s *space) applyOverlay(t *testing.T, o overlay) {
	t.Helper()
	s.kubectl(t, "apply", "-k", o.write(t))
}

// write returns a temporary folder that refers to the project's folders.
func (o overlay) write(t *testing.T) string {
	t.Helper()
	target, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	relative := func(names []string) (paths []string) {
		for _, name := range names {
			base, err := filepath.Abs(filepath.Join("..", name))
			require.NoError(t, err)
			base, err = filepath.EvalSymlinks(base)
			require.NoError(t, err)
			path, err := filepath.Rel(target, base) // kustomize accepts no absolute path
			require.NoError(t, err)
			paths = append(paths, filepath.ToSlash(path))
		}
		return paths
	}
	var resources []string
	if o.folder != "" {
		resources = relative([]string{o.folder})
	}
	resources = append(resources, relative(o.beside)...)
	for _, file := range o.files { // kustomize reads none of another folder
		text, err := os.ReadFile(filepath.Join("..", file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(target, filepath.Base(file)), text, 0o600))
		resources = append(resources, filepath.Base(file))
	}
	patches := append([]object{}, o.targets...)
	for name, specs := range o.patches {
		for _, spec := range specs {
			patch, err := json.Marshal(namedObject("apps/v1", "Deployment", name, object{"spec": spec}))
			require.NoError(t, err)
			patches = append(patches, object{"patch": string(patch)})
		}
	}
	kustomization := object{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources, "patches": patches,
	}
	if len(o.components) > 0 {
		kustomization["components"] = relative(o.components)
	}
	maps.Copy(kustomization, o.fields)
	text, err := json.Marshal(kustomization) // JSON is YAML
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(target, "kustomization.yaml"), text, 0o600))
	return target
}

// withShared applies what the apps of a namespace share. It does not wait for it.
func (s *space) withShared(t *testing.T) {
	t.Helper()
	s.applyOverlay(t, overlay{folder: "namespace"})
}

// settings creates a team's ConfigMap with settings of its sidecars.
func (s *space) settings(t *testing.T) {
	t.Helper()
	s.apply(t, namedObject("v1", "ConfigMap", "wxsidecar", object{"data": object{
		"WECHAT_BASE_URL": "https://fakewechat", "SSL_CERT_FILE": "/etc/wechat-ca/ca.crt",
	}}))
}
