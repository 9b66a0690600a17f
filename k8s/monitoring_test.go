package k8s_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const (
	familiesFile  = "../sidecar/web/families.go"             // every metric's name and type
	metricsFile   = "../sidecar/web/testdata/metrics.golden" // an answer of /metrics, for their labels
	alertsFile    = "monitoring/alerts.yaml"
	alertsTest    = "monitoring/alerts_test.yaml"
	dashboardFile = "monitoring/dashboard.json"
)

// Alerts and dashboard use metrics and labels that the sidecar serves.
func TestMonitoring_UsesExistingMetrics(t *testing.T) {
	series := metrics(t)
	for where, expression := range expressions(t) {
		for _, name := range metricName.FindAllString(expression, -1) {
			assert.Contains(t, series, name, "%s: no such metric", where)
		}
		for _, fault := range badLabels(series, expression) {
			assert.Fail(t, fault, "%s: %s", where, expression)
		}
	}
}

func TestMonitoring_UsesEveryMetric(t *testing.T) {
	var asked []string
	for where, expression := range expressions(t) {
		if !strings.HasPrefix(where, alertsTest) {
			asked = append(asked, metricName.FindAllString(expression, -1)...)
		}
	}
	for _, name := range words(t, familiesFile, `"(wxsidecar_[a-z_]+)", (?:gauge|counter|histogram)`) {
		isIt := func(s string) bool { return s == name || ofHistogram.ReplaceAllString(s, "") == name }
		assert.True(t, slices.ContainsFunc(asked, isIt), "%s: add it to an alert or the dashboard", name)
	}
}

func TestAlerts_SayWhatToDo(t *testing.T) {
	alerts := alerts(t)
	require.NotEmpty(t, alerts)
	for name, a := range alerts {
		assert.Regexp(t, `^Wxsidecar[A-Z]`, name)
		assert.NotEmpty(t, a.For, "%s: it must not fire for one bad scrape", name)
		assert.Contains(t, []string{"critical", "warning"}, a.Labels["severity"], name)
		assert.NotEmpty(t, a.Annotations["summary"], name)
		assert.Greater(t, len(a.Annotations["description"]), len(a.Annotations["summary"]), "%s: say what to do", name)
	}
}

func TestAlerts_TestedBothWays(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, group := range alertTests(t) {
		for _, c := range group.Cases {
			(map[bool]map[string]bool{true: fires, false: silent})[len(c.Expected) > 0][c.Alert] = true
		}
	}
	names := sorted(alerts(t))
	assert.Equal(t, names, sorted(fires), "alerts that fire in %s", alertsTest)
	assert.Equal(t, names, sorted(silent), "alerts that do not")
}

func TestDashboard_WellFormed(t *testing.T) {
	b := dashboard(t)
	require.NotEmpty(t, b.Panels)
	ids, taken := map[int]string{}, map[[2]int]string{}
	for _, p := range b.Panels {
		assert.NotContains(t, ids, p.ID, "%s: id %d is taken", p.Title, p.ID)
		ids[p.ID] = p.Title
		assert.NotEmpty(t, p.Description, p.Title)
		assert.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
		if p.Type != "table" { // whose columns have units of their own
			assert.NotEmpty(t, p.FieldConfig.Defaults.Unit, "%s: unit", p.Title)
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			assert.False(t, refs[q.RefID], "%s: refId %s twice", p.Title, q.RefID)
			refs[q.RefID] = true
			assert.Equal(t, "${datasource}", q.Datasource.UID, p.Title)
			for _, label := range inBraces.FindAllStringSubmatch(q.LegendFormat, -1) {
				assert.Contains(t, kept(q.Expr), label[1], "%s: the legend's label is not in its result", p.Title)
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			assert.Less(t, x, 24, "%s: beyond the right edge", p.Title)
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, taken[[2]int{x, y}], "%s lies over it", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	var variables []string
	for _, v := range b.Templating.List {
		variables = append(variables, v.Name)
	}
	assert.Equal(t, []string{"datasource", "namespace", "appid"}, variables)
}

func TestMonitoring_ConfigMaps(t *testing.T) {
	m := build(t, "monitoring")
	assert.Equal(t, map[string]string{"wxsidecar.yaml": string(read(t, alertsFile))}, m.configs["wxsidecar-alerts"].Data)
	assert.Equal(t, map[string]string{"wxsidecar.json": string(read(t, dashboardFile))}, m.configs["wxsidecar-dashboard"].Data)
	assert.Equal(t, "1", m.configs["wxsidecar-dashboard"].Labels["grafana_dashboard"], "Grafana's sidecar looks for it")
	assert.NotContains(t, m.configs["wxsidecar-alerts"].Labels, "grafana_dashboard")
}

var (
	metricName  = regexp.MustCompile(`\bwxsidecar[_:][a-z0-9_:]+`) // with a colon: of a recording rule
	sampleLine  = regexp.MustCompile(`(?m)^(wxsidecar_\w+)(?:\{(.*)\})? \S+$`)
	ofHistogram = regexp.MustCompile(`_(bucket|sum|count)$`)
	selector    = regexp.MustCompile(`([a-z][a-z0-9_:]*)\{([^}]*)\}`)
	matcher     = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"`)
	clause      = regexp.MustCompile(`\b(?:by|on|group_left|without|ignoring|group_right)\s*\(([^()]*)\)`)
	aggregation = regexp.MustCompile(`\bby\s*\(([^()]*)\)`)
	labelValues = regexp.MustCompile(`^label_values\(.*, *(\w+)\)$`)
	inBraces    = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
	word        = regexp.MustCompile(`\w+`)
)

// ofTheTarget are labels that Prometheus can add to a target.
var ofTheTarget = []string{"namespace", "pod", "job", "instance"}

// metrics returns the metrics that a query can use, with their labels: those of the sidecar, and those of the recording
// rules.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	series := map[string][]string{}
	for _, name := range words(t, familiesFile, `"(wxsidecar_[a-z_]+)", (?:gauge|counter)`) {
		series[name] = slices.Clone(ofTheTarget)
	}
	for _, name := range words(t, familiesFile, `"(wxsidecar_[a-z_]+)", histogram`) {
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			series[name+part] = slices.Clone(ofTheTarget)
		}
	}
	served := map[string]bool{}
	for _, sample := range sampleLine.FindAllStringSubmatch(string(read(t, metricsFile)), -1) {
		served[sample[1]] = true
		for _, label := range matcher.FindAllStringSubmatch(sample[2], -1) {
			series[sample[1]] = append(series[sample[1]], label[1])
		}
	}
	require.ElementsMatch(t, sorted(series), sorted(served), "%s names other metrics than %s shows; after a new metric, run go test ./sidecar/web -update", familiesFile, metricsFile)
	for _, r := range rules(t) {
		if r.Record != "" {
			series[r.Record] = kept(r.Expr)
		}
	}
	return series
}

// kept returns the labels that the expression's aggregations keep.
func kept(expression string) []string {
	var labels []string
	for _, by := range aggregation.FindAllStringSubmatch(expression, -1) {
		labels = append(labels, word.FindAllString(by[1], -1)...)
	}
	return labels
}

// badLabels returns the labels of an expression that its metrics do not have. A selector needs a label of its metric, a
// clause one of any metric in the expression.
func badLabels(series map[string][]string, expression string) []string {
	var known, faults []string
	for _, name := range metricName.FindAllString(expression, -1) {
		known = append(known, series[name]...)
	}
	for _, s := range selector.FindAllStringSubmatch(expression, -1) {
		for _, label := range matcher.FindAllStringSubmatch(s[2], -1) {
			if metricName.MatchString(s[1]) && !slices.Contains(series[s[1]], label[1]) {
				faults = append(faults, s[1]+" has no label "+label[1])
			}
		}
	}
	clauses := clause.FindAllStringSubmatch(expression, -1)
	for _, c := range append(clauses, labelValues.FindAllStringSubmatch(expression, -1)...) {
		for _, label := range word.FindAllString(c[1], -1) {
			if !slices.Contains(known, label) {
				faults = append(faults, "no metric here has a label "+label)
			}
		}
	}
	return faults
}

// expressions returns all queries and series of the rules, their tests and the dashboard, by their place.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, r := range rules(t) {
		found[alertsFile+" "+r.Alert+r.Record] = r.Expr
	}
	for _, group := range alertTests(t) {
		for _, s := range group.Input {
			found[alertsTest+" "+group.Name+" "+s.Series] = s.Series
		}
	}
	b := dashboard(t)
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			found[dashboardFile+" "+p.Title+" "+q.RefID] = q.Expr
		}
	}
	for _, v := range b.Templating.List {
		found[dashboardFile+" $"+v.Name] = v.Definition
	}
	return found
}

// rule is one rule of Prometheus' rule file.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal(read(t, alertsFile), &file))
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// alerts returns the alerting rules by name.
func alerts(t *testing.T) map[string]rule {
	t.Helper()
	found := map[string]rule{}
	for _, r := range rules(t) {
		if r.Alert != "" {
			require.NotContains(t, found, r.Alert, "twice")
			found[r.Alert] = r
		}
	}
	return found
}

// alertTest is one group of promtool's tests.
type alertTest struct {
	Name  string
	Input []struct{ Series string } `json:"input_series"`
	Cases []struct {
		Alert    string `json:"alertname"`
		Expected []any  `json:"exp_alerts"`
	} `json:"alert_rule_test"`
}

func alertTests(t *testing.T) []alertTest {
	t.Helper()
	var file struct{ Tests []alertTest }
	require.NoError(t, yaml.Unmarshal(read(t, alertsTest), &file))
	require.NotEmpty(t, file.Tests)
	return file.Tests
}

// board has the tested fields of a Grafana dashboard.
type board struct {
	Templating struct {
		List []struct{ Name, Definition string }
	}
	Panels []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  struct{ X, Y, W, H int }
		Datasource               struct{ UID string }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Targets                  []struct {
			RefID, Expr, LegendFormat string
			Datasource                struct{ UID string }
		}
	}
}

func dashboard(t *testing.T) board {
	t.Helper()
	var b board
	require.NoError(t, json.Unmarshal(read(t, dashboardFile), &b))
	return b
}
