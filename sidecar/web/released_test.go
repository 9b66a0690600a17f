package web_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// The metrics are those of the last release, with their types and labels, or more. It reads
// the golden file, which TestMetrics_Golden compares.
func TestReleased_Metrics(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "metrics.golden"))
	require.NoError(t, err)
	var lines []string
	value := regexp.MustCompile(`="(\\.|[^"\\])*"`)
	for line := range strings.Lines(string(text)) {
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			lines = append(lines, "type "+strings.TrimSpace(kind))
		} else if strings.HasPrefix(line, "wxsidecar_") {
			line = value.ReplaceAllString(line, "")
			lines = append(lines, line[:strings.LastIndexByte(line, ' ')])
		}
	}
	programtest.AssertReleased(t, filepath.Join("..", ".."), "metrics", lines)
}

// The JSON of the API and of status.json has the fields of the last release. It asks each
// route, and reads the golden files, which other tests compare.
func TestReleased_Fields(t *testing.T) {
	t.Parallel()
	field := regexp.MustCompile(`"([A-Za-z_]+)":`)
	var lines []string
	for route, got := range answersOfAllRoutes(t) {
		require.Equal(t, http.StatusOK, got.status, "%s: %s", route, got)
		for _, found := range field.FindAllStringSubmatch(got.body, -1) {
			lines = append(lines, route+" "+found[1])
		}
	}
	for _, name := range []string{"answers", "compat", "login", "status"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
		require.NoError(t, err)
		for _, found := range field.FindAllStringSubmatch(string(text), -1) {
			lines = append(lines, name+" "+found[1])
		}
	}
	programtest.AssertReleased(t, filepath.Join("..", ".."), "fields", lines)
}

// answersOfAllRoutes returns a successful answer of each route of the API.
func answersOfAllRoutes(t *testing.T) map[string]answer {
	t.Helper()
	h := newTestSidecar(t, nil)
	h.wechat.AddAccount(appID, secret)
	require.NoError(t, h.group.SetAccounts([]keeper.Account{{
		AppID: appID, Secret: func() (string, error) { return secret, nil }, Tickets: []memcache.Kind{memcache.JSAPITicket, memcache.WXCardTicket},
	}}))
	dial := serve(t, h.logins(t, ""), "127.0.0.1:0")
	v1 := "/v1/" + appID
	page := url.QueryEscape("https://example.com/")
	all := map[string]answer{}
	for route, a := range map[string]ask{
		"token":                     plain(classicPath + appID),
		"stable_token":              stable(`{"grant_type":"client_credential","appid":"` + appID + `","secret":"x"}`),
		"getticket":                 plain(ticketPath + token(t, classic(appID).over(t, dial))),
		"jscode2session":            plain(sessionPath + grantOfCode + "&js_code=canarytoken-a"),
		"oauth2/access_token":       plain(userPath + grantOfCode + "&code=canarytoken-b"),
		"v1 access_token":           {target: v1 + "/access_token"},
		"v1 access_token/refresh":   {method: "POST", target: v1 + "/access_token/refresh", body: `{"rejected":"x"}`},
		"v1 jsapi_ticket":           {target: v1 + "/jsapi_ticket"},
		"v1 jsapi_ticket/refresh":   {method: "POST", target: v1 + "/jsapi_ticket/refresh", body: `{"rejected":"x"}`},
		"v1 wx_card_ticket":         {target: v1 + "/wx_card_ticket"},
		"v1 wx_card_ticket/refresh": {method: "POST", target: v1 + "/wx_card_ticket/refresh", body: `{"rejected":"x"}`},
		"v1 jsapi_signature":        {target: v1 + "/jsapi_signature?url=" + page},
		"v1 login":                  loginWith("canarytoken-c"),
		"v1 oauth":                  {method: "POST", target: oauthPath, body: `{"code":"canarytoken-d"}`},
	} {
		all[route] = a.over(t, dial)
	}
	return all
}

// The routes of the last release are there, with their methods.
func TestReleased_Routes(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(filepath.Join("..", "..", "docs", "released", "routes.txt"))
	require.NoError(t, err)
	h := newTestSidecar(t, nil, appID)
	listeners := map[string]http.Handler{"api": h.logins(t, ""), "ops": h.ops()}
	gone := regexp.MustCompile(`no such route|does not serve this route|method not allowed|(GET|POST) required`)
	var served []string
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSuffix(line, "\n")
		words := strings.Split(line, " ")
		require.Len(t, words, 3, "listener, method, path")
		dial := serve(t, listeners[words[0]], "127.0.0.1:0")
		got := ask{method: words[1], target: strings.Replace(words[2], "{appid}", appID, 1)}.over(t, dial)
		if !gone.MatchString(got.body) {
			served = append(served, line)
		}
	}
	assert.NotEmpty(t, served)
	programtest.AssertReleased(t, filepath.Join("..", ".."), "routes", served)
}
