package web_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzCompat asks WeChat's own routes with a query and a body that may be anything.
func FuzzCompat(f *testing.F) {
	const query = "grant_type=client_credential&appid=" + appID
	const body = `{"grant_type":"client_credential","appid":"` + appID + `","secret":"x"}`
	for _, seed := range [][2]string{
		{query + "&secret=x", body},
		{"grant_type=client_credential&appid=wxunknown", `{"grant_type":"client_credential","appid":"wxunknown"}`},
		{query + "&appid=wxunknown", `{"grant_type":"client_credential","appid":"wxunknown","appid":"` + appID + `"}`},
		{"appid=" + appID, `{"appid":"` + appID + `"}`},
		{query + ";secret=%zz&%", `{"grant_type":"client_credential","appid":"` + appID + `","force_refresh":true}`},
		{"type=jsapi&access_token=x", `{}`},
		{"type=wx_card&access_token=%00", `[]`},
		{"access_token=" + strings.Repeat("x", 3000), strings.Repeat("[", 9<<10)},
		{"", ""},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	h := newTestSidecar(f, nil, appID)
	api := h.compat(f, "")
	token := httptest.NewRecorder()
	api.ServeHTTP(token, compatRequest(http.MethodGet, classicPath+appID, nil))
	require.Equal(f, http.StatusOK, token.Code)
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		if r := compatRequest(http.MethodGet, "/cgi-bin/token?"+query, nil); r != nil {
			read, _ := url.ParseQuery(query) // what cannot be read is left out, as net/http does
			assertCompat(t, api, r, read.Get("grant_type") == "client_credential" && read.Get("appid") == appID)
			assertCompat(t, api, compatRequest(http.MethodGet, "/cgi-bin/ticket/getticket?"+query, nil), false)
		}
		var read struct {
			GrantType string `json:"grant_type"`
			AppID     string `json:"appid"`
			Secret    string `json:"secret"`
		}
		whole := json.Unmarshal(body, &read) == nil && len(body) <= 8<<10
		assertCompat(t, api, compatRequest(http.MethodPost, stablePath, body),
			whole && read.GrantType == "client_credential" && read.AppID == appID)
		assert.Equal(t, 1, h.wechat.Requests("", ""), "nothing that was made up causes a call")
	})
}

// compatRequest is a request as net/http reads it; nil where it would not.
func compatRequest(method, target string, body []byte) *http.Request {
	head := method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil || strings.ContainsAny(target, " \r\n#") {
		return nil
	}
	r.Body = httptest.NewRequest(method, "/", strings.NewReader(string(body))).Body
	r.ContentLength = int64(len(body))
	return r
}

// assertCompat asserts that an answer is as WeChat's are, and has a token where it
// should.
func assertCompat(t *testing.T, api http.Handler, r *http.Request, wanted bool) {
	t.Helper()
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var got struct {
		Token   string `json:"access_token"`
		Code    int    `json:"errcode"`
		Message string `json:"errmsg"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	assert.Equal(t, wanted, got.Token != "")
	assert.Equal(t, wanted, got.Code == 0)
	assert.Equal(t, wanted, got.Message == "")
	assert.Equal(t, wanted, strings.Contains(w.Body.String(), "canarytoken"))
}
