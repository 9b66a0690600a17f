package web

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/quota"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// forceRefreshesADay is how many force refreshes WeChat's stable_token allows a day.
const forceRefreshesADay = 20

// externalFor is how long a metric has the external fetches of one reading. The next reading
// is 58 to 59 minutes later. If it fails, the alert, which compares two values an hour apart,
// must not take one reading for two.
const externalFor = time.Hour

// scrape is one answer to /metrics.
type scrape struct {
	*bufio.Writer
	states []keeper.State
	labels []string // of states: appid="…",kind="…"
}

// serveMetrics is /metrics. It never holds all of the text: 10,000 accounts make 13 MB,
// which a small pod does not have.
func (o *ops) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	s := &scrape{Writer: bufio.NewWriterSize(w, 32<<10), states: o.states()}
	s.labels = make([]string, len(s.states))
	for i := range s.states {
		s.labels[i] = fmt.Sprintf(`appid="%s",kind="%s"`, s.states[i].AppID, s.states[i].Kind) // both are valid names
	}
	s.credentials(o.cfg.API == wechat.StableToken)
	s.quotas(o)
	s.counts()
	s.process(o)
	_ = s.Flush() // if it fails, nobody reads
}

// credentials writes the state of each credential.
func (s *scrape) credentials(stable bool) {
	s.gauges("wxsidecar_credential_valid", func(c *keeper.State) (float64, bool) { return oneIf(c.Valid), true })
	s.gauges("wxsidecar_credential_published", func(c *keeper.State) (float64, bool) { return oneIf(c.Published), true })
	s.gauges("wxsidecar_credential_age_seconds", func(c *keeper.State) (float64, bool) { return millis(c.Age), c.Valid })
	s.gauges("wxsidecar_credential_expires_in_seconds", func(c *keeper.State) (float64, bool) { return millis(c.Left), true })
	s.gauges("wxsidecar_credential_renewal_in_seconds", func(c *keeper.State) (float64, bool) { return millis(c.RenewalIn), c.Valid })
	s.gauges("wxsidecar_requests_today", func(c *keeper.State) (float64, bool) { return float64(c.Today.Requests), true })
	s.gauges("wxsidecar_renewals_today", func(c *keeper.State) (float64, bool) { return float64(c.Today.Renewals), true })
	if stable {
		s.gauges("wxsidecar_force_refreshes_remaining", func(c *keeper.State) (float64, bool) {
			return float64(max(0, forceRefreshesADay-c.Today.ForceRefreshes)), true
		})
	}
}

// quotas writes WeChat's own counts.
func (s *scrape) quotas(o *ops) {
	if o.cfg.Quota == nil {
		return
	}
	count := func(name string, value func(*status.Quota) *int) {
		s.gauges(name, func(c *keeper.State) (float64, bool) {
			q := o.quota(c)
			if q == nil || q.Limit == 0 || value(q) == nil {
				return 0, false
			}
			return float64(*value(q)), true
		})
	}
	count("wxsidecar_quota_used", func(q *status.Quota) *int { return &q.Used })
	count("wxsidecar_quota_limit", func(q *status.Quota) *int { return &q.Limit })
	count("wxsidecar_quota_external_fetches", func(q *status.Quota) *int {
		if o.now().Sub(q.At) > externalFor {
			return nil
		}
		return q.External
	})
}

// counts writes what this sidecar did for each credential.
func (s *scrape) counts() {
	const name = "wxsidecar_renewals_total"
	s.family(name)
	for i := range s.states {
		counts := &s.states[i].Counts
		result := func(result, errcode string, n uint64) {
			metrics.WriteCounterUint64(s, name+"{"+s.labels[i]+`,result="`+result+`",errcode="`+errcode+`"}`, n)
		}
		result("success", "0", counts.Renewed)
		result("adopted", "0", counts.Adopted)
		if counts.Unchanged > 0 { // none without an upstream
			result("unchanged", "0", counts.Unchanged)
		}
		for _, code := range slices.Sorted(maps.Keys(counts.Failed)) {
			result("failure", code, counts.Failed[code])
		}
	}
	s.counters("wxsidecar_reports_total", func(n *keeper.Counts) uint64 { return n.Reports })
	s.checks()
	s.counters("wxsidecar_external_tokens_total", func(n *keeper.Counts) uint64 { return n.ExternalTokens })
	s.counters("wxsidecar_lease_contention_total", func(n *keeper.Counts) uint64 { return n.Contended })
}

// checks writes how WeChat answered to checks of reported tokens. Tickets have none.
func (s *scrape) checks() {
	const name = "wxsidecar_report_checks_total"
	s.family(name)
	for i := range s.states {
		if s.states[i].Kind != memcache.AccessToken {
			continue
		}
		n := s.states[i].Counts.Checks
		for _, c := range []struct {
			result string
			n      uint64
		}{{"accepted", n.Accepted}, {"refused", n.Refused}, {"unknown", n.Unknown}} {
			metrics.WriteCounterUint64(s, name+"{"+s.labels[i]+`,result="`+c.result+`"}`, c.n)
		}
	}
}

// process writes the state of this process.
func (s *scrape) process(o *ops) {
	m := o.cfg.Metrics
	s.one("wxsidecar_accounts", float64(s.accounts()))
	s.one("wxsidecar_memcached_up", oneIf(o.memcached().Err == nil))
	s.operations("wxsidecar_memcached_operations_total", m.operations)
	s.operations("wxsidecar_memcached_failures_total", m.failures)
	s.mirrors(o.mirrors())
	const answers = "wxsidecar_answers_total"
	s.family(answers)
	metrics.WriteCounterUint64(s, answers+`{source="memory"}`, m.memory.Get())
	metrics.WriteCounterUint64(s, answers+`{source="renewal"}`, m.renewal.Get())
	metrics.WriteCounterUint64(s, answers+`{source="login"}`, m.login.Get())
	metrics.WriteCounterUint64(s, answers+`{source="refusal"}`, m.refusal.Get())
	const callers = "wxsidecar_refused_requests_total"
	s.family(callers)
	metrics.WriteCounterUint64(s, callers+`{reason="bearer"}`, m.wrongBearer.Get())
	metrics.WriteCounterUint64(s, callers+`{reason="host"}`, m.foreignHost.Get())
	const checks = "wxsidecar_appsecret_checks_total"
	s.family(checks)
	for _, outcome := range verify.Outcomes {
		metrics.WriteCounterUint64(s, checks+`{result="`+string(outcome)+`"}`, m.secretChecks[string(outcome)].Get())
	}
	if o.cfg.Quota != nil {
		const readings = "wxsidecar_quota_readings_total"
		s.family(readings)
		for _, result := range quota.Results {
			metrics.WriteCounterUint64(s, readings+`{result="`+string(result)+`"}`, m.quotaReadings[string(result)].Get())
		}
	}
	s.family("wxsidecar_wechat_request_duration_seconds")
	m.requests.WritePrometheus(s)
	s.family("wxsidecar_start_time_seconds")
	metrics.WriteGaugeUint64(s, "wxsidecar_start_time_seconds", uint64(o.start.Unix())) //nolint:gosec // not before 1970
	s.family("wxsidecar_build_info")
	metrics.WriteGaugeUint64(s, `wxsidecar_build_info{version="`+labelValue.Replace(o.cfg.Version)+`"}`, 1)
}

// accounts counts the AppIDs, which are adjacent.
func (s *scrape) accounts() int {
	n := 0
	for i := range s.states {
		if i == 0 || s.states[i].AppID != s.states[i-1].AppID {
			n++
		}
	}
	return n
}

// mirrors writes the state of each mirror.
func (s *scrape) mirrors(all []mirror.State) {
	if len(all) == 0 {
		return
	}
	const name = "wxsidecar_mirror_up"
	s.family(name)
	for _, m := range all {
		metrics.WriteGaugeFloat64(s, name+`{mirror="`+m.Name+`"}`, oneIf(m.Up()))
	}
}

// family writes the lines before the samples of a family.
func (s *scrape) family(name string) {
	for _, f := range families {
		if f.name == name {
			_, _ = fmt.Fprintf(s, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind) // see Flush
			return
		}
	}
	panic("no such family: " + name) // every test of /metrics would find it
}

// gauges writes a family with a sample for each credential that has a value.
func (s *scrape) gauges(name string, value func(*keeper.State) (float64, bool)) {
	s.family(name)
	for i := range s.states {
		if v, ok := value(&s.states[i]); ok {
			metrics.WriteGaugeFloat64(s, name+"{"+s.labels[i]+"}", v)
		}
	}
}

func (s *scrape) counters(name string, value func(*keeper.Counts) uint64) {
	s.family(name)
	for i := range s.states {
		metrics.WriteCounterUint64(s, name+"{"+s.labels[i]+"}", value(&s.states[i].Counts))
	}
}

func (s *scrape) operations(name string, counts map[string]*metrics.Counter) {
	s.family(name)
	for _, operation := range memcache.Operations {
		metrics.WriteCounterUint64(s, name+`{operation="`+operation+`"}`, counts[operation].Get())
	}
}

func (s *scrape) one(name string, value float64) {
	s.family(name)
	metrics.WriteGaugeFloat64(s, name, value)
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// millis returns a duration in seconds, to the millisecond.
func millis(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// labelValue escapes a label's value.
var labelValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
