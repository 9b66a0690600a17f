package k8s_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// upstreamSecret has the bearer token of the upstream, and its CA.
const upstreamSecret = "wxsidecar-upstream"

// The sidecars of a namespace without the AppSecret mount the upstream's Secret instead, and
// are else those of the other Component.
func TestUpstream_NoAppSecretBelow(t *testing.T) {
	was := templates(t, team(t, withComponents("sidecar")))
	for name, is := range templates(t, team(t, withComponents("sidecar-upstream"))) {
		t.Run(name, func(t *testing.T) {
			if !slices.Contains(injected, name) {
				assert.Equal(t, was[name], is)
				return
			}
			p := pod{PodTemplateSpec: is}
			sidecar := p.sidecar()
			require.NotNil(t, sidecar)
			assert.Empty(t, value(sidecar, "WECHAT_ACCOUNTS_DIR"))
			assert.Empty(t, folderOf(p, accountsSecret))
			assert.Equal(t, "/etc/"+upstreamSecret, folderOf(p, upstreamSecret))
			for _, v := range is.Spec.Volumes {
				if v.Secret != nil {
					assert.Equal(t, upstreamSecret, v.Secret.SecretName)
					assert.EqualValues(t, 0o444, deref(v.Secret.DefaultMode, 0))
				}
			}
			before := pod{PodTemplateSpec: was[name]}.sidecar()
			for _, c := range []*corev1.Container{sidecar, before} {
				c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "WECHAT_ACCOUNTS_DIR" })
				c.VolumeMounts = slices.DeleteFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "wxsidecar-accounts" || m.Name == upstreamSecret })
			}
			assert.Equal(t, before, sidecar)
		})
	}
}

// For PHP, the socket's Component comes before.
func TestUpstream_WithSocket(t *testing.T) {
	objects := templates(t, team(t, withComponents("sidecar-socket", "sidecar-upstream")))
	for _, name := range injected {
		p := pod{PodTemplateSpec: objects[name]}
		require.NotNil(t, p.sidecar(), name)
		assert.Equal(t, "unix:///run/wxsidecar/api.sock", value(p.sidecar(), "SIDECAR_LISTEN"), name)
		assert.Empty(t, value(p.sidecar(), "WECHAT_ACCOUNTS_DIR"), name)
		assert.Empty(t, folderOf(p, accountsSecret), name)
		assert.NotNil(t, p.volume("wxsidecar-socket"), name)
	}
	assert.Contains(t, string(read(t, "sidecar-upstream/kustomization.yaml")), "name ../sidecar-socket before this folder")
}

// The standalone sidecars of the upstream speak TLS, and admit labelled pods of labelled
// namespaces, besides those of their own.
func TestUpstream_Standalone(t *testing.T) {
	m := manifestsOf(t, "resources: [K8S/standalone]\ncomponents: [K8S/upstream]\n")
	p := pod{PodTemplateSpec: &m.deployments["wxsidecar"].Spec.Template}
	folder := folderOf(p, "wxsidecar-tls")
	require.NotEmpty(t, folder)
	assert.Equal(t, folder+"/tls.crt", value(p.sidecar(), "SIDECAR_TLS_CERT_FILE"))
	assert.Equal(t, folder+"/tls.key", value(p.sidecar(), "SIDECAR_TLS_KEY_FILE"))
	assert.NotEmpty(t, folderOf(p, accountsSecret), "it keeps its own Secrets")
	require.NotEmpty(t, folderOf(p, bearerSecret))
	assert.Contains(t, string(read(t, "upstream/kustomization.yaml")), "SIDECAR_READER_TOKEN_FILE: "+folderOf(p, bearerSecret)+"/reader\n")

	policy := m.policies["wxsidecar-downstream"]
	require.NotNil(t, policy)
	assert.Equal(t, m.deployments["wxsidecar"].Spec.Selector.MatchLabels, policy.Spec.PodSelector.MatchLabels)
	assert.Equal(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, policy.Spec.PolicyTypes)
	below := metav1.LabelSelector{MatchLabels: map[string]string{"wxsidecar/downstream": "true"}}
	assert.Equal(t, []networkingv1.NetworkPolicyIngressRule{{
		From:  []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &below, PodSelector: readers.PodSelector}},
		Ports: tcp(7200),
	}}, policy.Spec.Ingress)
}
