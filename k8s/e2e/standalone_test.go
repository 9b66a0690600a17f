//go:build cluster

package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	policyv1 "k8s.io/api/policy/v1"
)

const standaloneName = "wxsidecar"

// standalone applies k8s/standalone with another address of WeChat.
func standalone(t *testing.T) {
	s := newSpace(t, "standalone")
	s.withWeChat(t, 0)
	s.withShared(t)
	s.keepBearer(t)
	// The folder's policy admits no requests inside the cluster, but the fake WeChat is there.
	s.apply(t, namedObject("networking.k8s.io/v1", "NetworkPolicy", "fakewechat", object{"spec": object{
		"podSelector": object{"matchLabels": object{"app.kubernetes.io/name": standaloneName}},
		"policyTypes": []string{"Egress"},
		"egress": []object{{
			"to":    []object{{"podSelector": object{"matchLabels": object{"app": "fakewechat"}}}},
			"ports": []object{{"port": 8443}},
		}},
	}}))
	t.Run("two sidecars come up and share one token", func(t *testing.T) {
		start := time.Now()
		s.applyOverlay(t, overlay{folder: "standalone"}.toFake(standaloneName, "containers"))
		applied := time.Since(start)
		s.rolledOut(t, "memcached", standaloneName)
		t.Logf("kubectl apply -k took %s, everything Ready after %s", short(applied), short(time.Since(start)))
		pods := s.pods(t, standaloneName)
		require.Len(t, pods, 2)
		unrestarted(t, pods)
		for _, pod := range pods {
			status, text := s.ops(t, pod.Name, "/readyz")
			assert.Equal(t, http.StatusOK, status, text)
		}
		s.fewRequests(t, s.counts(t), 1)
	})
	if t.Failed() {
		return
	}
	t.Run("only labelled pods of the namespace reach memcached and the API", s.onlyLabelled)
	t.Run("two evictions leave one sidecar at any time, and no reader notices", s.evicted)
	t.Run("one is killed while the other one is evicted, and no reader notices", s.killedWhileEvicted)
	t.Run("the bearer token is rotated in two steps, and no reader is refused", s.rotatedBearer)
}

// keepBearer creates the Secret with the API's bearer token.
func (s *space) keepBearer(t *testing.T) {
	t.Helper()
	s.apply(t, namedObject("v1", "Secret", "wxsidecar-bearer", object{"stringData": object{"token": "canary" + "secret-bearer"}}))
}

// Three apps: one asks memcached alone, another the API alone, and one does as apps do.
const (
	cacheReader = "reads-memcached"
	apiReader   = "reads-the-api"
	usualReader = "reads-both"
	nowhere     = "127.0.0.1:1"
)

// runReaders starts both readers in this namespace. The sidecars and memcached are those
// of the space home.
func (s *space) runReaders(t *testing.T, home *space, labels object) {
	t.Helper()
	s.runReader(t, home, cacheReader, "memcached."+home.name+":11211", "http://"+nowhere, labels)
	s.runReader(t, home, apiReader, nowhere, "http://wxsidecar."+home.name+":7200", labels)
}

// runReader starts one reader.
func (s *space) runReader(t *testing.T, home *space, name, memcached, sidecar string, labels object) {
	t.Helper()
	pod := namedObject("v1", "Pod", name+s.suffix(home), object{"spec": object{
		"automountServiceAccountToken": false, "enableServiceLinks": false, "terminationGracePeriodSeconds": 5,
		"securityContext": object{
			"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
			"seccompProfile": object{"type": "RuntimeDefault"},
		},
		"containers": []object{{
			"name": "reader", "image": "wxsidecar-e2e:dev", "args": []string{"read", "-patience", "2s"},
			"env": []object{
				{"name": "WECHAT_APPID", "value": appID},
				{"name": "MEMCACHED_SERVERS", "value": memcached},
				{"name": "SIDECAR_URL", "value": sidecar},
				{"name": "SIDECAR_AUTH_TOKEN_FILE", "value": "/etc/wxsidecar-bearer/token"},
				{"name": "FAKEWECHAT_CONTROL", "value": "http://fakewechat." + home.name + ":8080"},
			},
			"securityContext": object{
				"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": object{"drop": []string{"ALL"}},
			},
			"volumeMounts": []object{{"name": "bearer", "mountPath": "/etc/wxsidecar-bearer", "readOnly": true}},
		}},
		"volumes": []object{{"name": "bearer", "secret": object{"secretName": "wxsidecar-bearer", "defaultMode": 0o440}}},
	}})
	metadata, ok := pod["metadata"].(object)
	require.True(t, ok)
	metadata["labels"] = labels
	s.apply(t, pod)
}

// suffix distinguishes the readers of another namespace.
func (s *space) suffix(home *space) string {
	if s == home {
		return ""
	}
	return "-from-elsewhere"
}

var labelled = object{"wxsidecar/reader": "true"}

func (s *space) onlyLabelled(t *testing.T) {
	other := newSpace(t, "elsewhere")
	other.keepBearer(t) // the policy refuses it even with the bearer token
	s.runReaders(t, s, nil)
	other.runReaders(t, s, labelled)
	kept := []string{cacheReader, apiReader}
	outsiders := []string{cacheReader + other.suffix(s), apiReader + other.suffix(s)}
	var c counts
	failed := func(names []string, more int, since counts) {
		t.Helper()
		poll(t, 90*time.Second, fmt.Sprintf("%d reads have failed in each of %v", more, names), func() (bool, string) {
			c = s.counts(t)
			for _, name := range names {
				s.imagesThere(t)
				if b := c.reader(name); b.Failed < since.reader(name).Failed+more {
					return false, fmt.Sprintf("%s: %s", name, b)
				}
			}
			return true, ""
		})
	}
	failed(append(kept, outsiders...), 5, counts{})
	for _, name := range append(kept, outsiders...) {
		b := c.reader(name)
		require.Zero(t, b.Reads, "%s got through: does this cluster's network plugin enforce NetworkPolicies?", name)
		assert.Regexp(t, "timeout|deadline exceeded|refused", b.LastError)
		t.Logf("%s: %s; the last: %s", name, b, b.LastError)
	}

	// The label alone admits pods of the namespace.
	for _, name := range kept {
		s.kubectl(t, "label", "pod", name, "wxsidecar/reader=true")
	}
	took := poll(t, time.Minute, "the labelled pods read", func() (bool, string) {
		c = s.counts(t)
		for _, name := range kept {
			if b := c.reader(name); b.Reads < 10 {
				return false, fmt.Sprintf("%s: %s: %s", name, b, b.LastError)
			}
		}
		return true, ""
	})
	failed(outsiders, 3, c)
	for _, name := range outsiders {
		assert.Zero(t, c.reader(name).Reads, name)
	}
	t.Logf("%s after the label both read: %s; %s", short(took), c.reader(cacheReader), c.reader(apiReader))
}

func (s *space) evicted(t *testing.T) {
	for _, name := range []string{cacheReader, apiReader} {
		s.kubectl(t, "label", "--overwrite", "pod", name, "wxsidecar/reader=true") // in case the previous test ended early
	}
	var before counts
	poll(t, time.Minute, "both readers read", func() (bool, string) {
		before = s.counts(t)
		return before.reader(cacheReader).Reads > 0 && before.reader(apiReader).Reads > 0, "not yet"
	})
	pods := s.pods(t, standaloneName)
	require.Len(t, pods, 2)
	require.NoError(t, s.evict(t, pods[0].Name))
	start := time.Now()
	err := s.evict(t, pods[1].Name)
	require.Error(t, err, "the second eviction at once")
	require.Contains(t, err.Error(), "TooManyRequests") // 429
	_, refusal, _ := strings.Cut(err.Error(), "Error from server ")

	poll(t, 2*time.Minute, "the second eviction is allowed", func() (bool, string) {
		if err := s.evict(t, pods[1].Name); err != nil {
			require.Contains(t, err.Error(), "TooManyRequests")
			return false, refusal
		}
		return true, ""
	})
	waited := time.Since(start)
	live := s.pods(t, standaloneName)
	ready := 0
	for _, pod := range live {
		if isReady(&pod) && pod.Name != pods[1].Name {
			ready++
		}
	}
	assert.Positive(t, ready, "sidecars that were there when the second one went")
	s.rolledOut(t, standaloneName)
	poll(t, time.Minute, "the budget counts two", func() (bool, string) { // terminating pods count too
		budget := get[policyv1.PodDisruptionBudget](t, s, "poddisruptionbudget", standaloneName)
		return budget.Status.ExpectedPods == 2, fmt.Sprint(budget.Status.ExpectedPods)
	})
	for _, pod := range s.pods(t, standaloneName) {
		assert.NotContains(t, []string{pods[0].Name, pods[1].Name}, pod.Name)
	}

	after := s.counts(t)
	for _, name := range []string{cacheReader, apiReader} {
		was, is := before.reader(name), after.reader(name)
		assert.Equal(t, was.Failed, is.Failed, "reads of %s that failed; the last: %s", name, is.LastError)
		assert.Zero(t, is.Invalid, "invalid tokens read by %s", name)
		assert.Zero(t, is.Unjudged)
		assert.Greater(t, is.Reads, was.Reads)
		t.Logf("%s: %d reads meanwhile, %d failed", name, is.Reads-was.Reads, is.Failed-was.Failed)
	}
	assert.Equal(t, before.Requests, after.Requests, "requests to WeChat")
	t.Logf("the second eviction: %s; allowed after %s; both replaced after %s; %d requests to WeChat",
		refusal, short(waited), short(time.Since(start)), after.Requests-before.Requests)
}

// evict evicts a pod as `kubectl drain` does, without draining the only node.
func (s *space) evict(t *testing.T, pod string) error {
	t.Helper()
	eviction := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, s.name)
	_, err := s.try(t, eviction, "create", "--raw", "/api/v1/namespaces/"+s.name+"/pods/"+pod+"/eviction", "-f", "-")
	return err
}
