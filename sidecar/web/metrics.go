package web

import (
	"log"
	"os"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/quota"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	_ "github.com/wxsidecar/wxsidecar/sidecar/web/quiet" // until the library above is initialized
)

func init() { log.SetOutput(os.Stderr) }

// Metrics counts what this process does. A request for /metrics reads the rest from the
// keeper. It is safe for concurrent use.
type Metrics struct {
	operations, failures map[string]*metrics.Counter // by operation; the maps never change
	memory               *metrics.Counter            // answers from memory
	renewal              *metrics.Counter            // answers after a renewal
	login                *metrics.Counter            // answers of WeChat to logins
	refusal              *metrics.Counter            // answers without a credential
	wrongBearer          *metrics.Counter            // requests without a bearer token of the file
	foreignHost          *metrics.Counter            // requests to the ops listener with another Host
	secretChecks         map[string]*metrics.Counter // by result; the map never changes
	quotaReadings        map[string]*metrics.Counter // by result; the map never changes
	requests             *metrics.Set                // holds duration alone
	duration             *metrics.PrometheusHistogram
}

// requestBounds are the histogram's, in seconds. A request within China takes some
// 50 ms, an attempt at most 5 s, all attempts of one renewal 10 s.
var requestBounds = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// NewMetrics returns Metrics with all counts 0.
func NewMetrics() *Metrics {
	m := &Metrics{
		operations: map[string]*metrics.Counter{}, failures: map[string]*metrics.Counter{},
		memory: new(metrics.Counter), renewal: new(metrics.Counter), login: new(metrics.Counter), refusal: new(metrics.Counter),
		wrongBearer: new(metrics.Counter), foreignHost: new(metrics.Counter),
		requests: metrics.NewSet(), secretChecks: map[string]*metrics.Counter{}, quotaReadings: map[string]*metrics.Counter{},
	}
	for _, result := range quota.Results {
		m.quotaReadings[string(result)] = new(metrics.Counter)
	}
	for _, outcome := range verify.Outcomes {
		m.secretChecks[string(outcome)] = new(metrics.Counter)
	}
	for _, operation := range memcache.Operations {
		m.operations[operation], m.failures[operation] = new(metrics.Counter), new(metrics.Counter)
	}
	m.duration = m.requests.NewPrometheusHistogramExt("wxsidecar_wechat_request_duration_seconds", requestBounds)
	return m
}

// ObserveMemcached counts an operation. It is for memcache.Config.Observe.
func (m *Metrics) ObserveMemcached(operation string, failure error) {
	counted, ok := m.operations[operation]
	if !ok {
		return
	}
	counted.Inc()
	if failure != nil {
		m.failures[operation].Inc()
	}
}

// ObserveSecretCheck counts a request that verified an AppSecret.
func (m *Metrics) ObserveSecretCheck(o verify.Outcome) { m.secretChecks[string(o)].Inc() }

// ObserveQuota counts a reading of WeChat's own count.
func (m *Metrics) ObserveQuota(r quota.Result) { m.quotaReadings[string(r)].Inc() }

// ObserveWeChat counts a request for a credential. The keeper counts failures, for each
// account.
func (m *Metrics) ObserveWeChat(took time.Duration) { m.duration.Update(took.Seconds()) }
