package k8s_test

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// MEMCACHED_SERVERS names a Service and its port, of this folder or of k8s/namespace.
func TestServers_AreServices(t *testing.T) {
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			known, shared := map[string]bool{}, build(t, "namespace")
			for _, m := range []manifests{p.beside, shared} {
				for _, s := range m.services {
					for _, port := range s.Spec.Ports {
						known[s.Name+":"+strconv.Itoa(int(port.Port))] = true
					}
				}
			}
			for _, c := range p.containers() {
				if !runsSidecar(&c) && !readsTokens(&c) {
					continue
				}
				servers := value(&c, "MEMCACHED_SERVERS")
				for _, from := range c.EnvFrom {
					if config := shared.configs[from.ConfigMapRef.Name]; config != nil && servers == "" {
						servers = config.Data["MEMCACHED_SERVERS"]
					}
				}
				require.NotEmpty(t, servers, "%s: the default, 127.0.0.1, is this pod itself", c.Name)
				for server := range strings.SplitSeq(servers, ",") {
					assert.Contains(t, known, server, "container %s", c.Name)
				}
			}
		})
	}
}

// A Service outside the cluster would publish tokens.
func TestServices_StayInsideTheCluster(t *testing.T) {
	for name, s := range all(t).services {
		assert.Equal(t, corev1.ServiceTypeClusterIP, s.Spec.Type, name)
	}
}

func TestPHPApp_RunsTheMountedScript(t *testing.T) {
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

// The Dockerfile names the image that Go builds in. What repeats it, names the same, and has the Go of
// the release without its patch.
func TestDockerfile_OneGoImage(t *testing.T) {
	want := words(t, "../Dockerfile", `(?m)^ARG GO_IMAGE=golang:(.*)$`)
	require.Len(t, want, 1)
	assert.Regexp(t, `^`+regexp.QuoteMeta(want[0])+`(\.|\n)`, string(read(t, "../.ci/go-version")))
	for _, file := range []string{"../Dockerfile", "e2e/Dockerfile", "../docs/install/kubernetes.md", "../docs/zh/install.md"} {
		for _, tag := range words(t, file, `\bgolang:([^ '\n]+)`) {
			assert.Equal(t, want[0], tag, "%s: the base image is GO_IMAGE of ../Dockerfile", file)
		}
	}
}
