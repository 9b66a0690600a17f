package k8s_test

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What apps share is in a folder of its own: deleting one app takes nothing from another.
func TestFolders_Objects(t *testing.T) {
	memcached := []string{"Deployment/memcached", "Service/memcached"}
	policies := []string{"NetworkPolicy/memcached", "NetworkPolicy/wxsidecar"}
	for folder, want := range map[string][][]string{
		"memcached":            {memcached},
		"networkpolicy":        {policies},
		"namespace":            {memcached, policies, {"ConfigMap/wxsidecar-defaults"}},
		"app-with-sidecar":     {{"Deployment/app-with-sidecar"}},
		"app-php-with-sidecar": {{"Deployment/app-php-with-sidecar", "ConfigMap/app-php"}},
		"standalone":           {{"Deployment/wxsidecar", "Service/wxsidecar", "PodDisruptionBudget/wxsidecar"}},
		"monitoring":           {{"ConfigMap/wxsidecar-alerts", "ConfigMap/wxsidecar-dashboard"}},
		operatorFolder:         {{"PodMonitor/wxsidecar", "PrometheusRule/wxsidecar", "ConfigMap/wxsidecar-dashboard"}},
		poolFolder: {policies, {
			"StatefulSet/memcached", "Service/memcached", "PodDisruptionBudget/memcached", "ConfigMap/wxsidecar-defaults",
		}},
	} {
		m := build(t, folder)
		var names, flat []string
		for name := range m.objects() {
			names = append(names, hash.ReplaceAllString(name, ""))
		}
		for _, some := range want {
			flat = append(flat, some...)
		}
		assert.ElementsMatch(t, flat, names, folder)
	}
}

func TestFolders_ApplyEveryFile(t *testing.T) {
	for _, folder := range slices.Concat(folders(t), components(t)) {
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		require.NoError(t, err)
		for _, file := range files {
			switch name := filepath.Base(file); name {
			case "kustomization.yaml", "Dockerfile", "README.md", "alerts_test.yaml":
			default:
				assert.Contains(t, listed(t, folder), name, "%s is there but never applied", file)
			}
		}
	}
	loose, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	assert.Equal(t, []string{secretExample}, loose)
}

// Paths in comments and resources exist.
func TestFiles_NameExistingPaths(t *testing.T) {
	reference := regexp.MustCompile(`(?:\.\.|k8s)/[a-z][a-z./-]*[a-z]`)
	files := []string{secretExample}
	for _, folder := range slices.Concat(folders(t), components(t)) {
		more, err := filepath.Glob(filepath.Join(folder, "*"))
		require.NoError(t, err)
		files = append(files, more...)
	}
	for _, file := range files {
		for _, name := range reference.FindAllString(string(read(t, file)), -1) {
			if strings.HasPrefix(name, "../wxsidecar/") {
				continue // in somebody else's repository
			}
			target, fromTheRoot := strings.CutPrefix(name, "k8s/")
			if !fromTheRoot {
				target = filepath.Join(filepath.Dir(file), name)
			}
			if filepath.Ext(target) == "" {
				target = filepath.Join(target, "kustomization.yaml")
			}
			assert.FileExists(t, target, "%s names %s", file, name)
		}
	}
}

func TestFolders_IncludeNoSecret(t *testing.T) {
	for _, folder := range folders(t) {
		m := build(t, folder)
		assert.Empty(t, m.secrets, "%s would write over the user's own", folder)
	}
}

func TestLabels_NameAndPartOf(t *testing.T) {
	m := all(t)
	for name, object := range m.objects() {
		if strings.HasPrefix(name, "ConfigMap/") {
			continue // generated
		}
		labels := maps.Clone(object.GetLabels())
		delete(labels, injectLabel)
		assert.Equal(t, map[string]string{
			"app.kubernetes.io/name": object.GetName(), "app.kubernetes.io/part-of": "wxsidecar",
		}, labels, name)
	}
}

func TestMemcached_NeverTwo(t *testing.T) {
	d := build(t, "memcached").deployments["memcached"]
	assert.EqualValues(t, 1, deref(d.Spec.Replicas, 1))
	assert.EqualValues(t, "Recreate", d.Spec.Strategy.Type, "a rolling update runs the new one beside the old one")
}
