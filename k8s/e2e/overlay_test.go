//go:build cluster

package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// overlay is a folder of k8s/ with the suite's changes: strategic merge patches of
// its Deployments, by name.
type overlay struct {
	folder  string
	patches map[string][]object // of a Deployment's spec
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
func (o overlay) withReader(deployment string) overlay {
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

// applyOverlay runs `kubectl apply -k` on a temporary folder that refers to the
// project's folder.
func (s *space) applyOverlay(t *testing.T, o overlay) {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	base, err := filepath.Abs(filepath.Join("..", o.folder))
	require.NoError(t, err)
	base, err = filepath.EvalSymlinks(base)
	require.NoError(t, err)
	relative, err := filepath.Rel(folder, base) // kustomize accepts no absolute path
	require.NoError(t, err)
	var patches []object
	for name, specs := range o.patches {
		for _, spec := range specs {
			patch, err := json.Marshal(namedObject("apps/v1", "Deployment", name, object{"spec": spec}))
			require.NoError(t, err)
			patches = append(patches, object{"patch": string(patch)})
		}
	}
	text, err := json.Marshal(object{ // JSON is YAML
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources": []string{filepath.ToSlash(relative)}, "patches": patches,
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), text, 0o600))
	s.kubectl(t, "apply", "-k", folder)
}
