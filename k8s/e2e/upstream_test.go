//go:build cluster

package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCluster_NamespaceWithoutAppSecret runs k8s/standalone with k8s/upstream in one namespace, and an app with
// k8s/sidecar-upstream in another one, which has no AppSecret.
func TestCluster_NamespaceWithoutAppSecret(t *testing.T) {
	t.Parallel()
	above, below := newSpace(t, "above"), newSpace(t, "below")
	above.withWeChat(t, 0)
	above.withShared(t)
	above.keepBearer(t)
	above.reachesFake(t)
	service := standaloneName + "." + above.name + ".svc"
	authority, certificate, key := certify(t, service)
	above.apply(t, namedObject("v1", "Secret", "wxsidecar-tls", object{
		"type": "kubernetes.io/tls", "stringData": object{"tls.crt": certificate, "tls.key": key},
	}))
	above.applyOverlay(t, overlay{folder: "standalone", components: []string{"upstream"}}.toFake(standaloneName, "containers"))
	above.rolledOut(t, "memcached", standaloneName)

	below.withShared(t)
	below.apply(t,
		namedObject("v1", "Secret", "wxsidecar-upstream", object{"stringData": object{"token": "canary" + "secret-bearer", "ca.crt": authority}}),
		namedObject("v1", "ConfigMap", "wxsidecar", object{"data": object{
			"WECHAT_APPID": appID, "SIDECAR_UPSTREAM": "https://" + service + ":7200",
			"SIDECAR_UPSTREAM_TOKEN_FILE": "/etc/wxsidecar-upstream/token", "SIDECAR_CA_FILE": "/etc/wxsidecar-upstream/ca.crt",
		}}))
	below.applyOverlay(t, overlay{
		files: []string{app + "/deployment.yaml"}, components: []string{"sidecar-upstream"},
		fields: object{"images": []object{{"name": "wxsidecar", "newTag": "dev"}}},
	}.withReader(app).with(app, object{"template": object{"spec": object{
		"containers": []object{{"name": "app", "env": []object{{"name": "FAKEWECHAT_CONTROL", "value": "http://fakewechat." + above.name + ":8080"}}}},
	}}}))
	t.Run("a namespace without the label is locked out", func(t *testing.T) {
		poll(t, time.Minute, "the sidecar names the policies", func() (bool, string) {
			for _, pod := range below.pods(t, app) {
				log, err := below.try(t, "", "logs", pod.Name, "-c", "wxsidecar")
				if err == nil && strings.Contains(log, "NetworkPolicies of both namespaces") {
					return true, ""
				}
			}
			return false, "no such line"
		})
	})
	below.kubectl(t, "label", "namespace", below.name, "wxsidecar/downstream=true")
	took := below.rolledOut(t, "memcached", app)
	before := above.readOn(t, 10)
	above.fewRequests(t, before, 1)
	t.Logf("rolled out %s after the label; readers: %s", short(took), before.sum())
	t.Run("nothing of its pods has the AppSecret", func(t *testing.T) {
		for _, pod := range below.pods(t, app) {
			text, err := json.Marshal(pod)
			require.NoError(t, err)
			assert.NotContains(t, string(text), "wechat-accounts")
			assert.Zero(t, strings.Count(string(text), above.secret))
		}
	})
	t.Run("external fetches are reported below and healed by one request above", func(t *testing.T) {
		was := above.readOn(t, 1)
		above.post(t, "external", object{"appid": appID})
		above.post(t, "external", object{"appid": appID}) // now the sidecars' token is invalid
		var healed counts
		took := poll(t, 30*time.Second, "all readers have the new token", func() (bool, string) {
			healed = above.counts(t)
			for _, b := range healed.Readers {
				if b.Last != healed.Issued[len(healed.Issued)-1].Fingerprint {
					return false, b.String()
				}
			}
			return len(healed.Issued) > len(was.Issued), "no new token"
		})
		before = above.readOn(t, 30)
		assert.Equal(t, healed.sum().Invalid, before.sum().Invalid, "reads of invalid tokens after it healed")
		assert.Equal(t, was.sum().Failed, before.sum().Failed)
		assert.Equal(t, was.Requests+1, before.Requests)
		t.Logf("healed %s after the second external fetch: %d reads of the invalid token; readers: %s",
			short(took), before.sum().Invalid-was.sum().Invalid, before.sum())
	})
	t.Run("memcached below and a standalone sidecar are killed, and no reader notices", func(t *testing.T) {
		for _, pod := range below.pods(t, "memcached") {
			below.kubectl(t, "delete", "pod", pod.Name, "--grace-period=0", "--force")
		}
		above.kubectl(t, "delete", "pod", above.pods(t, standaloneName)[0].Name, "--grace-period=0", "--force")
		below.rolledOut(t, "memcached")
		after := above.readOn(t, 30)
		was, is := before.sum(), after.sum()
		assert.Equal(t, was.Failed, is.Failed)
		assert.Equal(t, was.Invalid, is.Invalid)
		above.fewRequests(t, after, 2)
		t.Logf("readers: %s", is)
	})
}

// reachesFake admits the standalone sidecars to the fake WeChat: their own policy admits no
// requests inside the cluster.
func (s *space) reachesFake(t *testing.T) {
	t.Helper()
	s.apply(t, namedObject("networking.k8s.io/v1", "NetworkPolicy", "fakewechat", object{"spec": object{
		"podSelector": object{"matchLabels": object{"app.kubernetes.io/name": standaloneName}},
		"policyTypes": []string{"Egress"},
		"egress": []object{{
			"to":    []object{{"podSelector": object{"matchLabels": object{"app": "fakewechat"}}}},
			"ports": []object{{"port": 8443}},
		}},
	}}))
}
