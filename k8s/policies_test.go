package k8s_test

import (
	"net/netip"
	"path"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// reader is on every pod that may reach memcached and the standalone sidecars' API.
var reader = map[string]string{"wxsidecar/reader": "true"}

// readers are the pods of the same namespace with that label: a namespaceSelector would add other namespaces.
var readers = networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: reader}}

func tcp(ports ...int32) (rule []networkingv1.NetworkPolicyPort) {
	for _, port := range ports {
		number := intstr.FromInt32(port)
		rule = append(rule, networkingv1.NetworkPolicyPort{Port: &number})
	}
	return rule
}

func TestPolicies_ReadersReachMemcached(t *testing.T) {
	p := build(t, "networkpolicy").policies["memcached"]
	assert.Equal(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}, p.Spec.PolicyTypes)
	assert.Empty(t, p.Spec.Egress, "memcached opens no connections")
	assert.Equal(t, []networkingv1.NetworkPolicyIngressRule{
		{From: []networkingv1.NetworkPolicyPeer{readers}, Ports: tcp(11211)},
	}, p.Spec.Ingress)
}

// Every pod reaches health and metrics.
func TestPolicies_ReadersReachTheAPI(t *testing.T) {
	p := build(t, "networkpolicy").policies["wxsidecar"]
	assert.Equal(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}, p.Spec.PolicyTypes)
	assert.Equal(t, []networkingv1.NetworkPolicyIngressRule{
		{From: []networkingv1.NetworkPolicyPeer{readers}, Ports: tcp(7200)},
		{From: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}}, Ports: tcp(opsPort)},
	}, p.Spec.Ingress)
}

// Pods that read memcached or ask a sidecar have the label, and no others.
func TestPods_ReadersHaveTheLabel(t *testing.T) {
	for _, p := range pods(t) {
		t.Run(p.name, func(t *testing.T) {
			talks := slices.ContainsFunc(p.containers(), func(c corev1.Container) bool { return runsSidecar(&c) || readsTokens(&c) })
			assert.Equal(t, talks, labels.SelectorFromSet(reader).Matches(labels.Set(p.Labels)))
			assert.Equal(t, talks, path.Base(p.name) != "memcached", "only memcached opens no connections")
		})
	}
}

// DNS, memcached and public addresses, but no private ones.
func TestPolicies_StandaloneEgress(t *testing.T) {
	egress := build(t, "networkpolicy").policies["wxsidecar"].Spec.Egress
	require.Len(t, egress, 3)
	dns, memcached, wechat := egress[0], egress[1], egress[2]

	kubeSystem := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: metav1.NamespaceSystem}}
	assert.Equal(t, []networkingv1.NetworkPolicyPeer{{NamespaceSelector: kubeSystem}}, dns.To)
	var protocols []corev1.Protocol
	for _, port := range dns.Ports {
		assert.EqualValues(t, 53, port.Port.IntVal)
		protocols = append(protocols, deref(port.Protocol, ""))
	}
	assert.Equal(t, []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP}, protocols)

	m := build(t, "memcached")
	assert.Equal(t, []networkingv1.NetworkPolicyPeer{{PodSelector: m.deployments["memcached"].Spec.Selector}}, memcached.To)
	assert.Equal(t, tcp(11211), memcached.Ports)

	assert.Equal(t, tcp(443), wechat.Ports)
	require.Len(t, wechat.To, 1)
	block := wechat.To[0].IPBlock
	require.NotNil(t, block)
	for address, open := range map[string]bool{
		"203.0.113.7": true, "8.8.8.8": true,
		"10.96.0.1": false, "10.244.0.7": false, "172.20.0.1": false, "192.168.1.1": false, "100.64.3.4": false,
		"169.254.169.254": false,
	} {
		assert.Equal(t, open, within(t, block, address), address)
	}
}

// within reports whether an ipBlock contains the address.
func within(t *testing.T, block *networkingv1.IPBlock, address string) bool {
	t.Helper()
	ip := netip.MustParseAddr(address)
	has := func(cidr string) bool {
		prefix, err := netip.ParsePrefix(cidr)
		require.NoError(t, err)
		require.Equal(t, prefix.Masked(), prefix, "%s has bits beyond its length", cidr)
		return prefix.Contains(ip)
	}
	return has(block.CIDR) && !slices.ContainsFunc(block.Except, has)
}
