//go:build cluster

package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// failingAccount gives the sidecars a second account with a wrong AppSecret.
func (s *space) failingAccount(t *testing.T) {
	const failing = "wxffffffffffffffff"
	s.apply(t, namedObject("v1", "Service", app, object{"spec": object{
		"selector": object{"app.kubernetes.io/name": app},
		"ports":    []object{{"port": 80, "targetPort": 7201}},
	}}))
	s.post(t, "account", object{"appid": failing, "secret": "canary" + "secret-the-right-one"})
	s.keepAccounts(t, map[string]string{appID: s.secret, failing: "canary" + "secret-a-wrong-one"})
	s.applyOverlay(t, sharing())
	s.kubectl(t, "rollout", "restart", "deployment/"+app) // new pods mount the current Secret
	took := s.rolledOut(t, app)
	pods := s.pods(t, app)
	require.Len(t, pods, 2)

	status, text := s.ops(t, pods[0].Name, "/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, text, failing)
	assert.Contains(t, text, "40125")
	assert.Contains(t, text, "mp.weixin.qq.com", "the hint")
	assert.NotContains(t, text, appID+":", "the healthy account")
	assert.NotContains(t, text, "canary")
	t.Logf("/readyz: %d %s", status, strings.TrimSpace(text))

	poll(t, 10*time.Second, "the Service has both pods", func() (bool, string) {
		in := s.inService(t, app)
		return len(in) == 2, strings.Join(in, " ")
	})
	after := s.readOn(t, 20)
	assert.Len(t, s.inService(t, app), 2, "pods in their Service while an account fails")
	unrestarted(t, s.pods(t, app))
	after.flawless(t)
	t.Logf("rolled out with a failing account in %s: no startup probe waits for it", short(took))
}

// inService returns the pods that a Service sends connections to.
func (s *space) inService(t *testing.T, name string) []string {
	t.Helper()
	var pods []string
	for _, slice := range get[discoveryv1.EndpointSliceList](t, s, "endpointslices", "-l", "kubernetes.io/service-name="+name).Items {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && *e.Conditions.Ready && e.TargetRef != nil {
				pods = append(pods, e.TargetRef.Name)
			}
		}
	}
	return pods
}

// ops requests a path of a pod's ops listener through a port-forward. The API
// server's proxy would hide the text of a 503.
func (s *space) ops(t *testing.T, pod, path string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.forward(t, "pod/"+pod, 7201)+path, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}
