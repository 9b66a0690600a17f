//go:build cluster

package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// killedWhileEvicted kills one standalone sidecar while the other one is evicted.
func (s *space) killedWhileEvicted(t *testing.T) {
	// The pods share their processes with a container that can kill: an image from
	// scratch has no shell.
	s.applyOverlay(t, overlay{folder: "standalone"}.toFake(standaloneName, "containers").with(standaloneName, object{"template": object{"spec": object{
		"shareProcessNamespace": true,
		"containers": []object{{
			"name": "killer", "image": "wxsidecar-e2e:dev", "args": []string{"wait"},
			"securityContext": object{
				"runAsNonRoot": true, "runAsUser": 65532, "allowPrivilegeEscalation": false,
				"capabilities": object{"drop": []string{"ALL"}}, "seccompProfile": object{"type": "RuntimeDefault"},
			},
		}},
	}}}))
	s.rolledOut(t, standaloneName)
	s.runReader(t, s, usualReader, "memcached:11211", "http://wxsidecar:7200", labelled)
	before := s.allRead(t, 10)
	pods := s.pods(t, standaloneName)
	require.Len(t, pods, 2)

	start := time.Now()
	require.NoError(t, s.evict(t, pods[0].Name))
	s.kubectl(t, "exec", pods[1].Name, "-c", "killer", "--", "/fakewechat", "kill", "sidecar")
	s.rolledOut(t, standaloneName)
	poll(t, time.Minute, "the killed one is back", func() (bool, string) {
		for _, pod := range s.pods(t, standaloneName) {
			if pod.Name == pods[1].Name {
				c := status(t, &pod, "wxsidecar")
				return c.RestartCount == 1 && c.Ready, ""
			}
		}
		return false, pods[1].Name + " is gone"
	})
	took := time.Since(start)
	// For a moment the only ready endpoint of the Service is the killed one.
	s.unnoticed(t, before, cacheReader, usualReader)
	t.Logf("both were back after %s", short(took))
}

// standaloneReaders are those of this namespace.
var standaloneReaders = []string{cacheReader, apiReader, usualReader}

// allRead waits until every reader has read so many times more.
func (s *space) allRead(t *testing.T, more int) (now counts) {
	t.Helper()
	before := s.counts(t)
	poll(t, time.Minute, "the readers read on", func() (bool, string) {
		now = s.counts(t)
		for _, name := range standaloneReaders {
			if now.reader(name).Reads < before.reader(name).Reads+more {
				return false, fmt.Sprintf("%s: %s", name, now.reader(name))
			}
		}
		return true, ""
	})
	return now
}

// unnoticed asserts that these readers have read on without a failure, that no reader got
// an invalid token, and that WeChat got no request.
func (s *space) unnoticed(t *testing.T, before counts, names ...string) {
	t.Helper()
	after := s.allRead(t, 10)
	for _, name := range standaloneReaders {
		was, is := before.reader(name), after.reader(name)
		if slices.Contains(names, name) {
			assert.Equal(t, was.Failed, is.Failed, "reads of %s that failed; the last: %s", name, is.LastError)
		}
		assert.Equal(t, was.Invalid, is.Invalid, name)
		t.Logf("%s: %d reads meanwhile, %d failed, %d invalid", name, is.Reads-was.Reads, is.Failed-was.Failed, is.Invalid-was.Invalid)
	}
	assert.Equal(t, before.Requests, after.Requests, "requests to WeChat")
}

// rotatedBearer writes the new token into a second line, and then alone.
func (s *space) rotatedBearer(t *testing.T) {
	const old, fresh = "canary" + "secret-bearer", "canary" + "secret-bearer-rotated"
	before := s.allRead(t, 10)
	var apis []string
	for _, pod := range s.pods(t, standaloneName) {
		apis = append(apis, s.forward(t, "pod/"+pod.Name, 7200))
	}
	for _, step := range []struct {
		text  string
		lines int
		bears map[string]int // each token's status
	}{
		{old + "\n" + fresh, 2, map[string]int{old: http.StatusOK, fresh: http.StatusOK}},
		{fresh, 1, map[string]int{old: http.StatusUnauthorized, fresh: http.StatusOK}},
	} {
		s.apply(t, namedObject("v1", "Secret", "wxsidecar-bearer", object{"stringData": object{"token": step.text}}))
		took := poll(t, 2*kubeletSync, "both sidecars and all readers have the new file", func() (bool, string) {
			c := s.counts(t)
			for _, name := range standaloneReaders {
				if c.reader(name).Bearers != step.lines {
					return false, name
				}
			}
			for _, api := range apis {
				for bearer, want := range step.bears {
					if got := askWith(t, api, bearer); got != want {
						return false, fmt.Sprintf("%s: %d instead of %d", api, got, want)
					}
				}
			}
			return true, ""
		})
		t.Logf("the file with %d tokens was everywhere after %s", step.lines, short(took))
	}
	s.unnoticed(t, before, standaloneReaders...)
}

// askWith asks an API for the token, and returns the status alone.
func askWith(t *testing.T, api, bearer string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+api+"/v1/"+appID+"/access_token", nil)
	require.NoError(t, err)
	req.Header.Set("X-Wxsidecar", "1")
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
