package k8s_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// pod is one pod template of one folder.
type pod struct {
	*corev1.PodTemplateSpec
	name   string    // folder/workload
	beside manifests // everything in the same folder
}

// pods returns the pod templates of all folders.
func pods(t *testing.T) []pod {
	t.Helper()
	var found []pod
	for _, folder := range folders(t) {
		m := build(t, folder)
		for _, name := range sorted(m.deployments) {
			found = append(found, pod{&m.deployments[name].Spec.Template, folder + "/" + name, m})
		}
		for _, name := range sorted(m.stateful) {
			found = append(found, pod{&m.stateful[name].Spec.Template, folder + "/" + name, m})
		}
	}
	return found
}

// containers returns all of the pod's containers, native sidecars included.
func (p pod) containers() []corev1.Container {
	return slices.Concat(p.Spec.InitContainers, p.Spec.Containers)
}

// sidecar returns the container that runs `sidecar`, or nil.
func (p pod) sidecar() *corev1.Container {
	for _, c := range p.containers() {
		if runsSidecar(&c) {
			return &c
		}
	}
	return nil
}

// volume returns the pod's volume of that name, or nil.
func (p pod) volume(name string) *corev1.Volume {
	for _, v := range p.Spec.Volumes {
		if v.Name == name {
			return &v
		}
	}
	return nil
}

// isOurs reports whether a container has wxsidecar's image, from any registry and with any tag or digest.
func isOurs(c *corev1.Container) bool {
	name, _, _ := strings.Cut(path.Base(c.Image), ":")
	return strings.TrimSuffix(name, "@sha256") == "wxsidecar"
}

// runsSidecar reports whether a container runs `sidecar` or `sidecar run`, and no other subcommand.
func runsSidecar(c *corev1.Container) bool {
	return isOurs(c) && (len(c.Args) == 0 || c.Args[0] == "run")
}

// readsTokens reports whether a container is an app: it has an AppID, and is no sidecar.
func readsTokens(c *corev1.Container) bool { return value(c, "WECHAT_APPID") != "" && !runsSidecar(c) }

// portOf returns the container's port of that name or number, or 0.
func portOf(c *corev1.Container, port intstr.IntOrString) int32 {
	for _, p := range c.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
			return p.ContainerPort
		}
	}
	return 0
}

// value returns the container's variable of that name, or "".
func value(c *corev1.Container, name string) string {
	for _, v := range c.Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// mountOf returns the container's mount of a volume, or nil.
func mountOf(c *corev1.Container, volume string) *corev1.VolumeMount {
	for _, m := range c.VolumeMounts {
		if m.Name == volume {
			return &m
		}
	}
	return nil
}
