//go:build cluster

package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/wxsidecar/wxsidecar/memcache/ring"
)

// TestCluster_MemcachedPool applies k8s/memcached-pool, and an app for an account of each memcached. The app gets the
// servers and the hash from the same ConfigMap as the sidecars.
func TestCluster_MemcachedPool(t *testing.T) {
	t.Parallel()
	s := newSpace(t, "pool")
	s.withWeChat(t, 0)
	s.settings(t)
	s.kubectl(t, "apply", "-k", "../memcached-pool")
	s.statefulSetUp(t)
	settings := get[corev1.ConfigMap](t, s, "configmap", "wxsidecar-defaults").Data
	accounts := onEach(ring.Hash(settings["MEMCACHED_HASH"]), strings.Split(settings["MEMCACHED_SERVERS"], ","))
	secrets := map[string]string{}
	for _, account := range accounts {
		secrets[account] = s.secret
		s.post(t, "account", object{"appid": account, "secret": s.secret})
	}
	s.keepAccounts(t, secrets)
	var apps []object
	for i, account := range accounts {
		apps = append(apps, readerApp(reads(i), 1, account))
	}
	s.applyApps(t, apps...)
	for i := range accounts {
		s.rolledOut(t, reads(i))
	}

	t.Run("one is lost", func(t *testing.T) {
		s.poolSurvives(t, 0, func(pod string) { s.kubectl(t, "delete", "pod", pod, "--force", "--grace-period=0", "--wait=false") })
	})
	t.Run("one is evicted, and no second one", func(t *testing.T) {
		s.poolSurvives(t, 1, func(pod string) {
			require.NoError(t, s.evict(t, pod))
			err := s.evict(t, "memcached-2")
			require.ErrorContains(t, err, "TooManyRequests")
		})
	})
	t.Run("one is recreated with another address", func(t *testing.T) {
		s.poolSurvives(t, 2, func(pod string) { s.kubectl(t, "delete", "pod", pod) })
	})
}

// reads is the name of the app that reads from that memcached.
func reads(i int) string { return fmt.Sprintf("reads-memcached-%d", i) }

// onEach returns an AppID for each server.
func onEach(hash ring.Hash, servers []string) []string {
	server, accounts := ring.New(hash, servers), make([]string, len(servers))
	for i, missing := 0, len(servers); missing > 0; i++ {
		account := fmt.Sprintf("wx%016x", i)
		if at := server(account); accounts[at] == "" {
			accounts[at] = account
			missing--
		}
	}
	return accounts
}

// readerApp is a Deployment that gets a sidecar. Its reader counts what it reads.
func readerApp(name string, replicas int, account string) object {
	labels := object{"app.kubernetes.io/name": name}
	app := namedObject("apps/v1", "Deployment", name, object{"spec": object{
		"replicas": replicas, "selector": object{"matchLabels": labels},
		"template": object{
			"metadata": object{"labels": labels},
			"spec": object{
				"terminationGracePeriodSeconds": 10,
				"containers": []object{{
					"name": "app", "image": "wxsidecar-e2e:dev", "args": []string{"read"},
					"env": []object{
						{"name": "WECHAT_APPID", "value": account},
						{"name": "MEMCACHED_TIMEOUT", "value": "1s"}, // on a busy machine, a healthy memcached can take 200 ms
					},
					"envFrom": []object{{"configMapRef": object{"name": "wxsidecar-defaults"}}},
					"securityContext": object{
						"runAsNonRoot": true, "runAsUser": 65532, "allowPrivilegeEscalation": false,
						"capabilities": object{"drop": []string{"ALL"}}, "seccompProfile": object{"type": "RuntimeDefault"},
					},
				}},
			},
		},
	}})
	metadata, _ := app["metadata"].(object)
	metadata["labels"] = object{"wxsidecar/inject": "true"}
	return app
}

// applyApps applies Deployments with the Component k8s/sidecar, as a team does.
func (s *space) applyApps(t *testing.T, apps ...object) {
	t.Helper()
	folder := overlay{components: []string{"sidecar"}, fields: object{
		"resources": []string{"apps.yaml"}, "images": []object{{"name": "wxsidecar", "newTag": "dev"}},
	}}.toFakeEverywhere().write(t)
	text, err := json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": apps}) // JSON is YAML
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "apps.yaml"), text, 0o600))
	s.kubectl(t, "apply", "-k", folder)
}

// statefulSetUp waits until every memcached is there.
func (s *space) statefulSetUp(t *testing.T) {
	t.Helper()
	_, err := s.try(t, "", "rollout", "status", "statefulset/memcached", "--timeout=120s")
	if err != nil {
		s.imagesThere(t)
	}
	require.NoError(t, err)
}

// poolSurvives lets a memcached fail. Its account's entry is gone until the sidecars have filled the new pod. The others'
// entries stay, and no read fails.
func (s *space) poolSurvives(t *testing.T, failing int, fail func(pod string)) {
	t.Helper()
	name := fmt.Sprintf("memcached-%d", failing)
	was := get[corev1.Pod](t, s, "pod", name)
	var readers []string
	for i := range 3 {
		pods := s.pods(t, reads(i))
		require.Len(t, pods, 1)
		readers = append(readers, pods[0].Name)
	}
	first := s.readOn(t, 10)
	var before counts
	poll(t, 30*time.Second, "each reader reads from memcached: after a failure it tries it every 10 s at least", func() (bool, string) {
		before = s.counts(t)
		for _, reader := range readers {
			if before.reader(reader).FromMemcached == first.reader(reader).FromMemcached {
				return false, before.reader(reader).String()
			}
		}
		return true, ""
	})
	for _, reader := range readers {
		require.True(t, before.reader(reader).Entry.There, "%s sees no entry", reader)
	}

	fail(name)
	var after counts
	took := poll(t, 2*time.Minute, "the reader has missed the entry, and has it again", func() (bool, string) {
		after = s.counts(t)
		entry := after.reader(readers[failing]).Entry
		return entry.Gaps > before.reader(readers[failing]).Entry.Gaps && entry.There, after.reader(readers[failing]).String()
	})
	s.statefulSetUp(t)
	after = s.readOn(t, 10)
	after.flawless(t)
	assert.Equal(t, before.Requests, after.Requests, "requests to WeChat")
	for i, reader := range readers {
		old, now := before.reader(reader), after.reader(reader)
		if i == failing {
			assert.Greater(t, now.FromSidecar, old.FromSidecar, "reads without the entry")
			t.Logf("%s: no entry for %s, back %s after the failure; meanwhile %d reads from the sidecar", name,
				short(now.Entry.BackAt.Sub(now.Entry.LostAt)), short(took), now.FromSidecar-old.FromSidecar)
			continue
		}
		assert.Equal(t, old.Entry.Gaps, now.Entry.Gaps, "the entry on memcached-%d", i)
		assert.Equal(t, old.FromSidecar, now.FromSidecar, "reads of the account of memcached-%d from a sidecar", i)
		t.Logf("memcached-%d meanwhile: %d reads from memcached, none from a sidecar", i, now.FromMemcached-old.FromMemcached)
	}
	is := get[corev1.Pod](t, s, "pod", name)
	assert.NotEqual(t, was.UID, is.UID)
	assert.NotEqual(t, was.Status.PodIP, is.Status.PodIP, "its address")
	t.Logf("%s had %s and has %s; %d requests to WeChat", name, was.Status.PodIP, is.Status.PodIP, after.Requests-before.Requests)
}

// TestCluster_MoveToThePool follows docs/install/kubernetes.md from one memcached to three, while readers read and tokens
// are renewed.
func TestCluster_MoveToThePool(t *testing.T) {
	t.Parallel()
	const app, replicas = "moves", 3
	s := newSpace(t, "move")
	s.withWeChat(t, 2*time.Minute)
	s.settings(t)
	s.withShared(t)
	s.rolledOut(t, "memcached")
	s.applyApps(t, readerApp(app, replicas, appID))
	s.rolledOut(t, app)
	s.readOn(t, 10)

	restart := func() {
		s.kubectl(t, "rollout", "restart", "deployment/"+app)
		s.rolledOut(t, app)
		s.readOn(t, 10)
	}
	start := time.Now()
	s.kubectl(t, "patch", "configmap", "wxsidecar", "--type=merge", "-p", `{"data":{"WECHAT_TOKEN_API":"stable_token"}}`)
	restart()
	s.kubectl(t, "delete", "deployment/memcached", "service/memcached")
	s.kubectl(t, "apply", "-k", "../memcached-pool")
	restart()
	s.statefulSetUp(t)
	s.kubectl(t, "patch", "configmap", "wxsidecar", "--type=merge", "-p", `{"data":{"WECHAT_TOKEN_API":null}}`)
	restart()
	took, before := time.Since(start), s.counts(t)
	poll(t, 3*time.Minute, "a token of the classic API is renewed", func() (bool, string) {
		c := s.counts(t)
		return c.Requests-c.Stable > before.Requests-before.Stable, fmt.Sprintf("%d requests", c.Requests)
	})
	after := s.readOn(t, 10)
	after.flawless(t)
	require.Len(t, after.Readers, 4*replicas)
	t.Logf("moved in %s; readers: %s; %d requests to WeChat, %d of them for stable_token", short(took), after.sum(), after.Requests, after.Stable)
}
