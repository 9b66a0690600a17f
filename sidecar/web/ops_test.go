package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// probe asks the ops handler.
func probe(ops http.Handler, method, target string) answer {
	w := httptest.NewRecorder()
	ops.ServeHTTP(w, httptest.NewRequest(method, target, nil))
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

// /startupz is 200 after 10 s at the latest.
func TestStartupz_GivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, failByAppID, "wxwhitelist")
		ops := h.ops()
		time.Sleep(10*time.Second - 1)
		assert.Equal(t, 503, statusCode(ops, "/startupz"))
		time.Sleep(time.Nanosecond)
		assert.Equal(t, 200, statusCode(ops, "/startupz"))
		assert.Equal(t, 503, statusCode(ops, "/readyz"))
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

// /readyz needs no published token.
func TestReadyz_Unpublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil)
		h.memcached.SetFault(memcachetest.Refuse)
		h.keep(t, appID)
		ops := h.ops()
		time.Sleep(6 * time.Second) // memcached gets five of them
		assert.Equal(t, 200, statusCode(ops, "/readyz"))
		assert.Equal(t, 503, statusCode(ops, "/startupz"))
	})
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
