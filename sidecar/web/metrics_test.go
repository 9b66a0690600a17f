package web_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// /metrics is the golden file.
func TestMetrics_Golden(t *testing.T) {
	golden(t, "metrics", probe(fixedOps(t, fixedStates(), noOutage), "GET", "/metrics").String())
}

// Every family of the table appears once, in its order.
func TestMetrics_EveryFamilyOnce(t *testing.T) {
	text := probe(fixedOps(t, fixedStates(), outage), "GET", "/metrics").body
	var names []string
	for _, line := range splitLines(text, "# TYPE ") {
		names = append(names, strings.Fields(line)[2])
	}
	assert.Equal(t, web.FamilyNames(), names)
	// Each sample stands under the family that its name belongs to.
	family := ""
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); fields[0] == "#" {
			family = fields[2]
			continue
		}
		name, _, _ := strings.Cut(strings.Fields(line)[0], "{")
		assert.Regexp(t, "^"+family+"(_bucket|_sum|_count)?$", name)
	}
	assert.Contains(t, text, "\nwxsidecar_memcached_up 0\n")
}

// After an hour a metric no longer has the external fetches of a reading: the next reading
// failed, and the alert compares two values an hour apart.
func TestMetrics_OldReading(t *testing.T) {
	external := 5
	of := func(age time.Duration) string {
		cfg := web.OpsConfig{Group: keeper.New(keeper.Config{}), Metrics: web.NewMetrics(), Quota: func(string) *status.Quota {
			return &status.Quota{At: fixedNow.Add(-age), Used: 36, Limit: 2000, External: &external}
		}}
		answer := httptest.NewRecorder()
		web.OpsOf(cfg, fixedStart, fixedNow, fixedStates()[:1], noOutage).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return answer.Body.String()
	}
	const name = "wxsidecar_quota_external_fetches{"
	assert.Contains(t, of(59*time.Minute+30*time.Second), name)
	assert.NotContains(t, of(time.Hour+time.Second), name)
	assert.Contains(t, of(2*time.Hour), "wxsidecar_quota_used{")
}

// Without WECHAT_QUOTA there is nothing about WeChat's own count.
func TestOps_QuotaOff(t *testing.T) {
	ops := web.OpsOf(web.OpsConfig{Group: keeper.New(keeper.Config{})}, fixedStart, fixedNow, fixedStates(), noOutage)
	for target, text := range map[string]string{"/metrics": "wxsidecar_quota", "/status.json": `"quota":`, "/": "Counted by WeChat"} {
		there := strings.Contains(probe(ops, "GET", target).body, text) // a bool: a failure prints no page
		assert.False(t, there, target)
	}
}

// promtool is what it finds wrong with a scrape.
func promtool(t *testing.T, stdin string) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	require.NoError(t, err, "promtool is missing: run .ci/setup")
	check := exec.CommandContext(t.Context(), path, "check", "metrics")
	check.Stdin = strings.NewReader(stdin)
	found, err := check.CombinedOutput()
	require.NoError(t, err, string(found))
	return string(found)
}

// promtool finds nothing wrong with /metrics.
func TestMetrics_Promtool(t *testing.T) {
	h := newTestSidecar(t, failByAppID, appID, "wxwhitelist", "wxsecret")
	api, ops := serve(t, h.api(t, ""), "127.0.0.1:0"), serve(t, h.ops(), "127.0.0.1:0")
	for _, id := range []string{appID, "wxwhitelist", "wxsecret"} { // waits for each renewal's end
		ask{target: "/v1/" + id + "/access_token"}.over(t, api)
	}
	scraped := ask{target: "/metrics"}.over(t, ops)
	assert.Equal(t, "text/plain; version=0.0.4; charset=utf-8", scraped.header.Get("Content-Type"))
	require.Contains(t, scraped.body, `wxsidecar_renewals_total{appid="`+appID+`",kind="access_token",result="success",errcode="0"} 1`)
	require.Contains(t, scraped.body, `wxsidecar_renewals_total{appid="wxwhitelist",kind="access_token",result="failure",errcode="40164"} 1`)
	assert.Empty(t, promtool(t, scraped.body))
	assert.Empty(t, promtool(t, probe(fixedOps(t, fixedStates(), outage), "GET", "/metrics").body))
	assert.Zero(t, strings.Count(scraped.body, "canary"), "nothing secret is scraped")
}

// sample is the value of one sample.
func sample(t *testing.T, text, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(name)+` (\S+)$`).FindAllStringSubmatch(text, -1)
	require.Len(t, found, 1, name)
	return found[0][1]
}

// The metrics count requests, answers and operations.
func TestMetrics_Count(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(r wechattest.Request) wechattest.Answer {
			return wechattest.Answer{Errcode: failing[r.AppID], Delay: 3 * time.Second}
		}
		h := newTestSidecar(t, slow, appID, "wxwhitelist")
		ops, l := h.ops(), newPipes()
		serveOn(t, l, h.api(t, ""))
		value := func(name string) string { return sample(t, probe(ops, "GET", "/metrics").body, name) }
		assert.Equal(t, 200, ask{target: tokenPath}.over(t, l.dial).status) // waits for the renewal
		assert.Equal(t, 200, ask{target: tokenPath}.over(t, l.dial).status)
		assert.Equal(t, 200, ask{target: tokenPath}.over(t, l.dial).status)
		assert.Equal(t, 403, ask{target: tokenPath, noMark: true}.over(t, l.dial).status)
		assert.Equal(t, "1", value(`wxsidecar_answers_total{source="renewal"}`))
		assert.Equal(t, "2", value(`wxsidecar_answers_total{source="memory"}`))
		assert.Equal(t, "1", value(`wxsidecar_answers_total{source="refusal"}`))
		synctest.Wait()
		assert.Equal(t, "2", value("wxsidecar_wechat_request_duration_seconds_count"))
		assert.Equal(t, "0", value(`wxsidecar_wechat_request_duration_seconds_bucket{le="2.5"}`))
		assert.Equal(t, "2", value(`wxsidecar_wechat_request_duration_seconds_bucket{le="5"}`))
		assert.Equal(t, "2", value("wxsidecar_accounts"))
		assert.NotEqual(t, "0", value(`wxsidecar_memcached_operations_total{operation="add"}`))
		assert.Equal(t, "0", value(`wxsidecar_memcached_failures_total{operation="multiget"}`), "a miss is no failure")
		h.memcached.SetFault(memcachetest.Refuse)
		h.keep(t, appID, "wxnew") // polls it
		synctest.Wait()
		assert.NotEqual(t, "0", value(`wxsidecar_memcached_failures_total{operation="multiget"}`))
		assert.Equal(t, "0", value("wxsidecar_memcached_up"))
	})
}

// A removed account disappears from metrics, status and page.
func TestOps_ForgetsAnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID, "wxgoes")
		ops := h.ops()
		synctest.Wait()
		for _, target := range []string{"/metrics", "/status.json", "/"} {
			assert.Contains(t, probe(ops, "GET", target).body, "wxgoes", target)
		}
		h.keep(t, appID)
		for _, target := range []string{"/metrics", "/status.json", "/"} {
			got := probe(ops, "GET", target).body
			assert.NotContains(t, got, "wxgoes", target)
			assert.Contains(t, got, appID, target)
			assert.Zero(t, strings.Count(got, "canary"), target)
		}
	})
}

// Four large answers are made at a time.
func TestOps_FourLargeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ops := fixedOps(t, fixedStates(), noOutage)
		l := newPipes()
		serveOn(t, l, ops)
		var held []net.Conn
		for range 4 { // who do not read their answers
			conn := l.dial()
			_, err := conn.Write(ask{target: "/metrics"}.bytes())
			require.NoError(t, err)
			held = append(held, conn)
		}
		synctest.Wait()
		start := time.Now()
		assert.Equal(t, 200, ask{target: "/livez"}.over(t, l.dial).status, "it never waits")
		assert.Zero(t, time.Since(start))
		assert.Equal(t, 200, ask{target: "/"}.over(t, l.dial).status)
		took(t, start, 4*time.Second) // then who does not read is cut off
		for _, conn := range held {
			require.NoError(t, conn.Close())
		}
	})
}

// A fifth large request waits for 5 s, then gets 503.
func TestOps_FifthLargeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, free := make(chan struct{}, 4), make(chan struct{})
		ops := web.OpsThatAsks(t, func() []keeper.State {
			asked <- struct{}{}
			<-free
			return fixedStates()
		})
		var all sync.WaitGroup
		for _, path := range []string{"/readyz", "/startupz", "/metrics", "/"} {
			all.Go(func() { probe(ops, "GET", path) })
			<-asked
		}
		for _, c := range []struct {
			path string
			wait time.Duration
		}{
			{"/startupz", 6500 * time.Millisecond}, // within ten seconds of the start
			{"/readyz", 5 * time.Second},
			{"/status.json", 5 * time.Second},
		} {
			start := time.Now()
			got := probe(ops, "GET", c.path)
			took(t, start, c.wait)
			assert.Equal(t, 503, got.status, c.path)
			assert.Equal(t, "1", got.header.Get("Retry-After"), c.path)
		}
		close(free)
		all.Wait()
		assert.Equal(t, 200, probe(ops, "GET", "/startupz").status, "its ten seconds are over")
	})
}

// A panic is logged and answered, without its value.
func TestOps_Panic(t *testing.T) {
	var log bytes.Buffer
	ops := web.OpsThatFails(slog.New(slog.NewJSONHandler(&log, nil)))
	assert.Equal(t, 500, probe(ops, "GET", "/readyz").status)
	assert.Contains(t, log.String(), "a fault of wxsidecar")
	assert.NotContains(t, log.String(), "canarysecret")
}

// The ops listener closes a silent connection after 1 s.
func TestOps_SilentClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- listener.Serve(ctx, l, fixedOps(t, fixedStates(), noOutage), listener.OpsLimits()) }()
		start := time.Now()
		_, err := l.dial().Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		took(t, start, time.Second)
		cancel()
		require.NoError(t, <-served)
	})
}
