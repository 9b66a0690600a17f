package k8s_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The sidecar's default addresses: see ../sidecar/config.go.
const (
	apiAddress = "127.0.0.1:7200"
	opsPort    = 7201
)

// The defaults here are those of config.go.
func TestSidecar_Defaults(t *testing.T) {
	assert.Equal(t, []string{apiAddress}, words(t, "../sidecar/config.go", `env:"SIDECAR_LISTEN" envDefault:"([^"]*)"`))
	assert.Equal(t, []string{":7201"}, words(t, "../sidecar/config.go", `env:"SIDECAR_OPS_LISTEN" envDefault:"([^"]*)"`))
}

func TestSidecar_NativeBesideAnApp(t *testing.T) {
	found := 0
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			for _, c := range p.Spec.InitContainers {
				if !runsSidecar(&c) {
					continue
				}
				found++
				assert.Equal(t, corev1.ContainerRestartPolicyAlways, deref(c.RestartPolicy, ""))
				assert.Nil(t, c.ReadinessProbe, "an unready sidecar takes the whole pod out of its Services")
				assert.Nil(t, c.Lifecycle, "a preStop hook runs while the app still needs the sidecar")
			}
			for _, c := range p.Spec.Containers {
				assert.False(t, runsSidecar(&c) && len(p.containers()) > 1, "%s starts beside the app instead of before it", c.Name)
			}
		})
	}
	assert.Equal(t, 2, found)
}

// A probe fails only if a restart can help.
func TestSidecar_Probes(t *testing.T) {
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			c := p.sidecar()
			if c == nil {
				return
			}
			for route, probe := range map[string]*corev1.Probe{"/startupz": c.StartupProbe, "/livez": c.LivenessProbe} {
				require.NotNil(t, probe, route)
				require.NotNil(t, probe.HTTPGet, route)
				assert.Equal(t, route, probe.HTTPGet.Path)
				assert.EqualValues(t, opsPort, portOf(c, probe.HTTPGet.Port), route)
			}
			assert.EqualValues(t, 1, c.StartupProbe.PeriodSeconds)
			assert.EqualValues(t, 2, c.StartupProbe.TimeoutSeconds, "/startupz holds a request for 1.5 s")
			window := c.StartupProbe.PeriodSeconds * c.StartupProbe.FailureThreshold
			assert.Greater(t, window, int32(15), "/startupz may take 10 s: fewer would restart the sidecar again and again")
		})
	}
}

// One folder explains each line for all of them.
func TestSidecars_DifferInTheListenerAlone(t *testing.T) {
	var first *corev1.Container
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			c := p.sidecar()
			if c == nil {
				return
			}
			same := &corev1.Container{
				Name: c.Name, Image: c.Image, StartupProbe: c.StartupProbe, LivenessProbe: c.LivenessProbe,
				Resources: c.Resources, SecurityContext: c.SecurityContext, EnvFrom: c.EnvFrom,
			}
			for _, v := range c.Env {
				if !strings.HasPrefix(v.Name, "SIDECAR_") {
					same.Env = append(same.Env, v)
				}
			}
			if first == nil {
				first = same
			}
			assert.Equal(t, first, same)
		})
	}
	assert.NotNil(t, first)
}

func TestVariables_Exist(t *testing.T) {
	sidecarVariables := words(t, "../sidecar/config.go", `env:"([A-Z_]+)"`)
	clientVariables := words(t, "../client/config_env.go", `"([A-Z]+_[A-Z_]+)"`)
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			for _, c := range p.containers() {
				known := clientVariables
				if runsSidecar(&c) {
					known = slices.Concat(sidecarVariables, []string{"GOMEMLIMIT"}) // Go's own
				}
				for _, v := range c.Env {
					assert.Contains(t, known, v.Name, "container %s", c.Name)
				}
			}
		})
	}
}

func TestAPI_ListensWhereAppsAsk(t *testing.T) {
	sockets := 0
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			sidecar := p.sidecar()
			if sidecar == nil {
				return
			}
			listen := value(sidecar, "SIDECAR_LISTEN")
			for _, c := range p.Spec.Containers {
				url := value(&c, "SIDECAR_URL")
				socket, isSocket := strings.CutPrefix(listen, "unix://")
				switch {
				case !readsTokens(&c):
				case isSocket:
					sockets++
					assert.Equal(t, listen, url, "container %s", c.Name)
					share(t, p, sidecar, &c, path.Dir(socket))
				default:
					assert.Empty(t, listen, "another address than the client's default")
					assert.Empty(t, url, "container %s", c.Name)
				}
			}
		})
	}
	assert.Equal(t, 1, sockets)
}

// share asserts that both containers mount the socket's folder, and that the sidecar can write there.
func share(t *testing.T, p pod, sidecar, app *corev1.Container, folder string) {
	t.Helper()
	volume := ""
	for _, mount := range sidecar.VolumeMounts {
		if mount.MountPath == folder {
			volume = mount.Name
			assert.False(t, mount.ReadOnly, "the sidecar creates the socket")
		}
	}
	require.NotEmpty(t, volume, "%s mounts nothing at %s, and its root is read-only", sidecar.Name, folder)
	mount := mountOf(app, volume)
	require.NotNil(t, mount, "%s does not mount %s", app.Name, volume)
	assert.Equal(t, folder, mount.MountPath)
	source := p.volume(volume).EmptyDir
	require.NotNil(t, source, "%s is no emptyDir", volume)
	require.NotNil(t, source.SizeLimit, "%s may fill the node", volume)
	require.NotNil(t, p.Spec.SecurityContext)
	assert.Equal(t, []int64{deref(sidecar.SecurityContext.RunAsGroup, 0)}, p.Spec.SecurityContext.SupplementalGroups,
		"an app that runs as another user could not connect")
}

func TestMetrics_Annotations(t *testing.T) {
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			if p.sidecar() == nil {
				assert.Empty(t, p.Annotations)
				return
			}
			assert.Equal(t, map[string]string{
				"prometheus.io/scrape": "true", "prometheus.io/port": "7201", "prometheus.io/path": "/metrics",
			}, p.Annotations)
			assert.EqualValues(t, opsPort, portOf(p.sidecar(), intstr.FromString("ops")))
		})
	}
}
