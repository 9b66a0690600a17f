package web_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// probe asks the ops handler.
func probe(ops http.Handler, method, target string) answer {
	return probeFrom(ops, "127.0.0.1:7201", method, target)
}

// probeFrom asks the ops handler with a Host.
func probeFrom(ops http.Handler, host, method, target string) answer {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, target, nil)
	r.Host = host
	ops.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

func statusCode(ops http.Handler, target string) int { return probe(ops, "GET", target).status }

// The probes of a healthy sidecar are 200.
func TestProbes_Healthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		ops := h.ops()
		synctest.Wait()
		var text strings.Builder
		for _, target := range []string{"/livez", "/readyz", "/startupz", "/livez?verbose", "/livez/", "/metrics/", "/favicon.ico"} {
			text.WriteString("=== GET " + target + "\n" + probe(ops, "GET", target).String() + "\n")
		}
		text.WriteString("=== POST /livez\n" + probe(ops, "POST", "/livez").String())
		golden(t, "ops", text.String())
		assert.Equal(t, 200, probe(ops, "HEAD", "/readyz").status)
	})
}

// /readyz names failing accounts with hints.
func TestReadyz_NamesFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, failByAppID, appID, "wxwhitelist", "wxsecret", "wxbusy")
		ops := h.ops()
		synctest.Wait()
		golden(t, "readyz", probe(ops, "GET", "/readyz").String())
		golden(t, "startupz", probe(ops, "GET", "/startupz").String())
		assert.Equal(t, 200, statusCode(ops, "/livez"))
	})
}

// /readyz names 20 accounts at most.
func TestReadyz_TwentyAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ids []string
		for i := range 25 {
			ids = append(ids, fmt.Sprintf("wx%02d", i))
		}
		h := newTestSidecar(t, func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Errcode: 40164} }, ids...)
		ops := h.ops()
		synctest.Wait()
		got := probe(ops, "GET", "/readyz")
		assert.Equal(t, 503, got.status)
		lines := strings.Split(strings.TrimSpace(got.body), "\n")
		assert.Len(t, lines, 21)
		assert.Equal(t, "and 5 more; 0 of 25 accounts are ready", lines[20])
	})
}

// /startupz waits for the published token, and then stays 200.
func TestStartupz_WaitsForTheEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: 3 * time.Second} }
		h := newTestSidecar(t, slow, appID)
		ops := h.ops()
		synctest.Wait()
		assert.Equal(t, 503, statusCode(ops, "/startupz"))
		assert.Equal(t, 503, statusCode(ops, "/readyz"))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		assert.Equal(t, 200, statusCode(ops, "/startupz"))
		assert.Equal(t, 200, statusCode(ops, "/readyz"))
		h.keep(t)
		assert.Equal(t, 200, statusCode(ops, "/startupz"), "once started it stays so")
		assert.Equal(t, "no accounts configured; set WECHAT_APPID, or put files into WECHAT_ACCOUNTS_DIR\n", probe(ops, "GET", "/readyz").body)
	})
}

// /startupz is 200 after 10 s at the latest, also for a request that is held then.
func TestStartupz_GivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: time.Minute} }, appID)
		ops := h.ops()
		time.Sleep(8 * time.Second)
		start := time.Now()
		assert.Equal(t, 503, statusCode(ops, "/startupz"))
		took(t, start, 1500*time.Millisecond)
		assert.Equal(t, 200, statusCode(ops, "/startupz"))
		took(t, start, 2*time.Second)
		assert.Equal(t, 503, statusCode(ops, "/readyz"))
	})
}

// /startupz holds a request until the token is published, so that no probe of a normal
// start fails.
func TestStartupz_HoldsTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: 1200 * time.Millisecond} }
		h := newTestSidecar(t, slow, appID)
		ops, start := h.ops(), time.Now()
		assert.Equal(t, 200, statusCode(ops, "/startupz"))
		took(t, start, 1200*time.Millisecond)
	})
}

// A client that leaves is not waited for.
func TestStartupz_ClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil)
		ctx, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer leave()
		start := time.Now()
		h.ops().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/startupz", nil).WithContext(ctx))
		took(t, start, 100*time.Millisecond)
	})
}

// To wait for an account does not help if the next renewal comes after the 10 s. The one
// that WeChat may answer soon is waited for.
func TestStartupz_NoWaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, failByAppID, "wxwhitelist", "wxsecret")
		ops := h.ops()
		synctest.Wait()
		start := time.Now()
		assert.Equal(t, 200, statusCode(ops, "/startupz"))
		took(t, start, 0)
		assert.Equal(t, 503, statusCode(ops, "/readyz"))
	})
}

// Nor does it help during a longer cooldown that another sidecar's failure caused.
func TestStartupz_CooldownOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil)
		h.memcached.Put(appID+":lease", fmt.Sprintf(`{"cooldown":"person","errcode":40125,"until":%d}`, time.Now().Unix()+60), 0, 60)
		h.keep(t, appID)
		ops := h.ops()
		synctest.Wait()
		start := time.Now()
		assert.Equal(t, 200, statusCode(ops, "/startupz"))
		took(t, start, 0)
		assert.Zero(t, h.wechat.Requests("", ""))
	})
}

// /startupz without an account is not 200 at once.
func TestStartupz_NoAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil)
		ops := h.ops()
		assert.Equal(t, 503, statusCode(ops, "/startupz"))
		assert.Equal(t, 503, statusCode(ops, "/readyz"))
		time.Sleep(10 * time.Second)
		assert.Equal(t, 200, statusCode(ops, "/startupz"))
		assert.Equal(t, 503, statusCode(ops, "/readyz"))
	})
}

// /readyz needs no published token, and says that memcached fails. /startupz does not wait
// for memcached longer than for the token.
func TestReadyz_Unpublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil)
		h.memcached.SetFault(memcachetest.Refuse)
		h.keep(t, appID)
		ops := h.ops()
		time.Sleep(3 * time.Second)
		assert.Equal(t, 503, statusCode(ops, "/startupz"))
		time.Sleep(time.Second) // memcached gets five of them
		assert.Equal(t, 200, statusCode(ops, "/startupz"))
		got := probe(ops, "GET", "/readyz")
		assert.Equal(t, 200, got.status)
		assert.Regexp(t, `\Aok\nmemcached \S+ has failed for \d+ s: .+; check that memcached runs at the address in MEMCACHED_SERVERS; `+
			`.*namePrefix .*wxsidecar/reader: "true" .*includeSelectors.*\n\z`, got.body)
	})
}

// Hosts of the sidecar see all. Any other gets 421 from the page and the status, and the
// status code alone from probes. It is counted, and logged once a minute.
func TestOps_Hosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, failByAppID, "wxsecret")
		ops := web.NewOps(web.OpsConfig{
			Group: h.group, Metrics: h.metrics, Name: "Pod-7F9c.example.net", Hosts: []string{"Status.Example.com", "b.example.com."},
			Log: slog.New(slog.NewTextHandler(h.log, nil)),
		})
		synctest.Wait()
		for host, known := range map[string]bool{
			"": true, "127.0.0.1": true, "10.1.2.3:7201": true, "203.0.113.7:80": true, "[::1]:7201": true, "[2001:db8::1]": true, "[fe80::1%25eth0]:7201": true,
			"localhost": true, "LOCALHOST:7201": true, "localhost.": true, "wxsidecar:7201": true,
			"pod-7f9c": true, "pod-7f9c.example.net:7201": true, "POD-7F9C.other.example": true,
			"wxsidecar.ns.svc": true, "wxsidecar.ns.svc:7201": true, "10-1-2-3.ns.pod.cluster.local": true, "node1.c.project.internal": true, "printer.local": true,
			"status.example.com": true, "STATUS.example.com.:443": true, "b.example.com": true,
			"evil.com": false, "evil.com:7201": false, "127.0.0.1.evil.com": false, "localhost.evil.com": false, "svc.evil.com": false,
			"a.status.example.com": false, "status.example.com.evil.com": false, "evil.pod-7f9c": false, "pod-7f9cx.evil.com": false,
			"127.0.0.1:evil": false, "evil.com:80:80": false, "[::1": false, "[evil.com]": false, "evil.svc/": false, "evil.com#.svc": false, ".svc": false,
			"ｅvil.svc": false, "evil.internalx": false, "0x7f.1": false, "a b.local": false,
		} {
			page, json, ready := probeFrom(ops, host, "GET", "/"), probeFrom(ops, host, "GET", "/status.json"), probeFrom(ops, host, "GET", "/readyz")
			want := 200
			if !known {
				want = 421
				assert.Contains(t, page.body, "SIDECAR_OPS_HOSTS", host)
				assert.NotContains(t, page.body+json.body+ready.body, "wxsecret", host)
				assert.Empty(t, ready.body, host)
			} else {
				assert.Contains(t, page.body, "wxsecret", host)
				assert.Contains(t, ready.body, "wxsecret", host)
			}
			assert.Equal(t, []int{want, want, 503}, []int{page.status, json.status, ready.status}, host)
			assert.Equal(t, 200, probeFrom(ops, host, "GET", "/livez").status, host)
			assert.Contains(t, probeFrom(ops, host, "GET", "/metrics").body, "wxsecret", host)
		}
	})
}

// Requests with a foreign Host are counted, and logged once a minute.
func TestOps_ForeignHostsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil, appID)
		ops := web.NewOps(web.OpsConfig{Group: h.group, Metrics: h.metrics, Log: slog.New(slog.NewTextHandler(h.log, nil))})
		for range 61 {
			probeFrom(ops, "evil.com", "GET", "/")
			time.Sleep(time.Second)
		}
		lines := splitLines(h.log.String(), `msg="requests refused"`)
		assert.Len(t, lines, 2)
		assert.Contains(t, lines[0], "level=WARN")
		assert.Contains(t, lines[0], "host=evil.com")
		assert.Contains(t, lines[0], "SIDECAR_OPS_HOSTS")
		assert.Contains(t, probe(ops, "GET", "/metrics").body, `wxsidecar_refused_requests_total{reason="host"} 61`)
	})
}

// Over a unix socket any Host is known: no web page reaches it.
func TestOps_HostOverUnixSocket(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	dial := serve(t, h.ops(), "unix://"+filepath.Join(t.TempDir(), "s"))
	assert.Equal(t, 200, ask{target: "/status.json", host: "evil.com"}.over(t, dial).status)
	dial = serve(t, h.ops(), "127.0.0.1:0")
	assert.Equal(t, 421, ask{target: "/status.json", host: "evil.com"}.over(t, dial).status)
}

// Every answer of both listeners has nosniff.
func TestAnswers_NoSniff(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	ops := h.ops()
	for _, target := range []string{"/", "/status.json", "/metrics", "/livez", "/readyz", "/startupz", "/none"} {
		assert.Equal(t, []string{"nosniff"}, probe(ops, "GET", target).header["X-Content-Type-Options"], target)
		assert.Equal(t, []string{"nosniff"}, probe(ops, "POST", target).header["X-Content-Type-Options"], target)
		assert.Equal(t, []string{"nosniff"}, probeFrom(ops, "evil.com", "GET", target).header["X-Content-Type-Options"], target)
	}
	dial := serve(t, h.compat(t, ""), "127.0.0.1:0")
	for _, one := range []ask{
		{target: tokenPath},
		{target: tokenPath, noMark: true},
		{target: "/none"},
		{target: tokenPath, method: "PUT"},
		classic(appID), classic("wxunknown"), plain("/cgi-bin/none"),
	} {
		assert.Equal(t, []string{"nosniff"}, one.over(t, dial).header["X-Content-Type-Options"], one.target)
	}
}

// splitLines is the lines of text with part in them.
func splitLines(text, part string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			found = append(found, line)
		}
	}
	return found
}
