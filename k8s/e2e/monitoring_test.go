//go:build cluster

package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
)

// monitoring applies k8s/monitoring. The API server accepts its ConfigMaps, whose
// size it limits. Every cluster has that kind.
func monitoring(t *testing.T) {
	s := newSpace(t, "monitoring")
	start := time.Now()
	s.applyOverlay(t, overlay{folder: "monitoring"})
	took := time.Since(start)
	found := 0
	for _, m := range get[corev1.ConfigMapList](t, s, "configmaps").Items {
		if m.Name == "kube-root-ca.crt" { // Kubernetes' own
			continue
		}
		found++
		for name, text := range m.Data {
			assert.NotEmpty(t, text)
			t.Logf("%s: %s, %d bytes", m.Name, name, len(text))
		}
	}
	assert.Equal(t, 2, found, "the alerts and the dashboard")
	t.Logf("kubectl apply -k took %s", short(took))
}
