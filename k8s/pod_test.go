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
	name   string    // folder/Deployment
	beside manifests // all that is applied with it
}

// pods are all that any folder brings.
func pods(t *testing.T) []pod {
	t.Helper()
	var found []pod
	for _, folder := range folders(t) {
		m := build(t, folder)
		for _, name := range sorted(m.deployments) {
			found = append(found, pod{&m.deployments[name].Spec.Template, folder + "/" + name, m})
		}
	}
	return found
}

// containers are all of the pod's, the native sidecars among them.
func (p pod) containers() []corev1.Container {
	return slices.Concat(p.Spec.InitContainers, p.Spec.Containers)
}

// sidecar is the container that runs `sidecar`, nil where the pod has none.
func (p pod) sidecar() *corev1.Container {
	for _, c := range p.containers() {
		if runsSidecar(&c) {
			return &c
		}
	}
	return nil
}

// volume is the pod's volume of that name, nil where it has none.
func (p pod) volume(name string) *corev1.Volume {
	for _, v := range p.Spec.Volumes {
		if v.Name == name {
			return &v
		}
	}
	return nil
}

// isOurs tells the containers of our own image, whatever registry and tag the kustomization gave it.
func isOurs(c *corev1.Container) bool {
	name, _, _ := strings.Cut(path.Base(c.Image), ":")
	return name == "wxsidecar"
}

// runsSidecar: `sidecar` or `sidecar run`. The rest are the client's subcommands.
func runsSidecar(c *corev1.Container) bool {
	return isOurs(c) && (len(c.Args) == 0 || c.Args[0] == "run")
}

// readsTokens tells the containers of apps: those that know an account and no AppSecret.
func readsTokens(c *corev1.Container) bool { return value(c, "WECHAT_APPID") != "" && !runsSidecar(c) }

// portOf is the container's port of that name or number, 0 where it declares none.
func portOf(c *corev1.Container, port intstr.IntOrString) int32 {
	for _, p := range c.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
			return p.ContainerPort
		}
	}
	return 0
}

// has tells whether one of the pod's containers declares that port.
func (p pod) has(port intstr.IntOrString) bool {
	return slices.ContainsFunc(p.containers(), func(c corev1.Container) bool { return portOf(&c, port) != 0 })
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

// mountOf is where the container mounts a volume, nil where it does not.
func mountOf(c *corev1.Container, volume string) *corev1.VolumeMount {
	for _, m := range c.VolumeMounts {
		if m.Name == volume {
			return &m
		}
	}
	return nil
}
