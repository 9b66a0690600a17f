package k8s_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var update = flag.Bool("update", false, "write the generated files")

const (
	operatorFolder = "monitoring-operator"
	ruleFile       = operatorFolder + "/prometheusrule.yaml"
)

// custom returns the folder's object of that kind, decoded into the operator's own type.
func custom[O any](t *testing.T, m manifests, name string) O {
	t.Helper()
	object, ok := m.customs[name].(O)
	require.True(t, ok, "%s is %T", name, m.customs[name])
	return object
}

// The PrometheusRule is generated from the rule file, comments included.
func TestOperator_RulesAreTheAlerts(t *testing.T) {
	_, groups, found := strings.Cut(string(read(t, alertsFile)), "\ngroups:\n")
	require.True(t, found)
	is := string(read(t, ruleFile))
	head, _, found := strings.Cut(is, "\nspec:\n")
	require.True(t, found)
	want := head + "\nspec:\n  groups:\n" + regexp.MustCompile(`(?m)^.`).ReplaceAllString(groups, "  $0")
	if *update {
		require.NoError(t, os.WriteFile(ruleFile, []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, is, "write it: go test . -run TestOperator_RulesAreTheAlerts -update")
}

// The operator reads every rule.
func TestOperator_ReadsEveryRule(t *testing.T) {
	rule := custom[*monitoringv1.PrometheusRule](t, build(t, operatorFolder), "PrometheusRule/wxsidecar")
	require.Len(t, rule.Spec.Groups, 1)
	var got []string
	for _, r := range rule.Spec.Groups[0].Rules {
		got = append(got, r.Record+r.Alert)
		assert.Equal(t, r.Alert != "", r.For != nil, r.Alert)
	}
	var want []string
	for _, r := range rules(t) {
		want = append(want, r.Record+r.Alert)
	}
	assert.Equal(t, want, got)
}

// The PodMonitor selects every pod with a sidecar, and no other, and names the port with the metrics.
func TestOperator_PodMonitorFindsSidecars(t *testing.T) {
	monitor := custom[*monitoringv1.PodMonitor](t, build(t, operatorFolder), "PodMonitor/wxsidecar")
	selected := labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels)
	require.Len(t, monitor.Spec.PodMetricsEndpoints, 1)
	port, sidecars := monitor.Spec.PodMetricsEndpoints[0].Port, 0
	require.NotNil(t, port)
	for _, p := range pods(t) {
		c := p.sidecar()
		assert.Equal(t, c != nil, selected.Matches(labels.Set(p.Labels)), p.name)
		if c != nil {
			sidecars++
			assert.EqualValues(t, opsPort, portOf(c, intstr.FromString(*port)), p.name)
		}
	}
	assert.GreaterOrEqual(t, sidecars, 2)
}

// The rules stand in the PrometheusRule alone. The dashboard stays a ConfigMap.
func TestOperator_DashboardBesideIt(t *testing.T) {
	m := build(t, operatorFolder)
	assert.Equal(t, build(t, "monitoring").configs["wxsidecar-dashboard"], m.configs["wxsidecar-dashboard"])
	assert.Equal(t, []string{"wxsidecar-dashboard"}, sorted(m.configs))
}
