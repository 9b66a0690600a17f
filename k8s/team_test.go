package k8s_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	// shop is an app that is not ours, with a kustomization of six lines.
	shop = "testdata/shop"
	// injectLabel is on the workloads that get a sidecar.
	injectLabel = "wxsidecar/inject"
)

// team renders a kustomization of a team beside the workloads of the shop. K8S stands for
// this folder.
func team(t *testing.T, kustomization string) []runtime.Object {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	here, err := os.Getwd()
	require.NoError(t, err)
	here, err = filepath.EvalSymlinks(here)
	require.NoError(t, err)
	relative, err := filepath.Rel(folder, here) // kustomize accepts no absolute path
	require.NoError(t, err)
	kustomization = strings.ReplaceAll(kustomization, "K8S", filepath.ToSlash(relative))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(kustomization), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "workloads.yaml"), read(t, shop+"/workloads.yaml"), 0o600))
	return render(t, folder)
}

// withComponents is a kustomization of the shop with these Components.
func withComponents(names ...string) string {
	text := "resources: [workloads.yaml]\ncomponents:\n"
	for _, name := range names {
		text += "  - K8S/" + name + "\n"
	}
	return text
}

// without is the shop without a sidecar.
const without = "resources: [workloads.yaml]\n"

// templates returns the pod templates by Kind/name.
func templates(t *testing.T, objects []runtime.Object) map[string]*corev1.PodTemplateSpec {
	t.Helper()
	found := map[string]*corev1.PodTemplateSpec{}
	for _, object := range objects {
		named, err := meta.Accessor(object)
		require.NoError(t, err)
		switch o := object.(type) {
		case *appsv1.Deployment:
			found["Deployment/"+named.GetName()] = &o.Spec.Template
		case *appsv1.StatefulSet:
			found["StatefulSet/"+named.GetName()] = &o.Spec.Template
		case *appsv1.DaemonSet:
			found["DaemonSet/"+named.GetName()] = &o.Spec.Template
		case *batchv1.Job:
			found["Job/"+named.GetName()] = &o.Spec.Template
		case *batchv1.CronJob:
			found["CronJob/"+named.GetName()] = &o.Spec.JobTemplate.Spec.Template
		}
	}
	return found
}

// patchOf returns the pod template of a patch file.
func patchOf(t *testing.T, file string) *corev1.PodTemplateSpec {
	t.Helper()
	for _, template := range templates(t, []runtime.Object{decode(t, read(t, file))}) {
		return template
	}
	require.Fail(t, "no workload in "+file)
	return nil
}
