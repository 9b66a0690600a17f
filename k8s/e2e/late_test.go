//go:build cluster

package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lateWithin is how long after its network the first token comes at most.
const lateWithin = 5 * time.Second

// lateNetwork starts pods whose network comes late: a policy forbids it to them at first.
func lateNetwork(t *testing.T) {
	for _, c := range []struct {
		what   string
		wechat bool // only WeChat is late
		after  time.Duration
	}{
		{"everything, by a second", false, time.Second},
		{"everything, by 6 s", false, 6 * time.Second},
		{"everything, by 15 s", false, 15 * time.Second},
		{"WeChat alone, by 4 s", true, 4 * time.Second},
		{"WeChat alone, by 12 s", true, 12 * time.Second},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newSpace(t, fmt.Sprintf("late-%t-%d", c.wechat, c.after/time.Second))
			s.withWeChat(t, 0)
			s.withShared(t)
			s.rolledOut(t, "memcached")
			egress := []object{}
			if c.wechat {
				egress = append(egress,
					object{"to": []object{{"podSelector": object{"matchLabels": object{"app.kubernetes.io/name": "memcached"}}}}},
					object{"ports": []object{{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}}})
			}
			s.apply(t, namedObject("networking.k8s.io/v1", "NetworkPolicy", "late", object{"spec": object{
				"podSelector": object{"matchLabels": object{"app.kubernetes.io/name": app}},
				"policyTypes": []string{"Egress"}, "egress": egress,
			}}))
			s.applyOverlay(t, folder(app).withReplicas(app, 1))
			poll(t, time.Minute, "the sidecar runs", func() (bool, string) {
				for _, pod := range s.pods(t, app) {
					if sidecars := pod.Status.InitContainerStatuses; len(sidecars) > 0 {
						return sidecars[0].State.Running != nil, ""
					}
				}
				return false, "no pod"
			})
			runs := time.Now()
			poll(t, time.Minute, "its network is due", func() (bool, string) { return time.Since(runs) >= c.after, "" })
			require.Zero(t, s.counts(t).Issues, "the policy does not hold")
			s.kubectl(t, "delete", "networkpolicy", "late")
			there := time.Now()
			var got counts
			poll(t, time.Minute, "there is a token", func() (bool, string) {
				got = s.counts(t)
				return got.Issues > 0, fmt.Sprintf("%d requests", got.Requests)
			})
			took := got.Issued[0].At.Sub(there)
			assert.Less(t, took, lateWithin)
			s.rolledOut(t, app)
			t.Logf("the first token came %s after the network, the app was Ready %s after it; %d requests to WeChat",
				short(took), short(time.Since(there)), s.counts(t).Requests)
		})
	}
}
