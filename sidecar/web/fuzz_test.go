package web_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

func FuzzAPIPath(f *testing.F) {
	for _, path := range []string{
		tokenPath, refreshPath, tokenPath + "?x=1", "/v1//access_token", "/v1/" + appID + "/jsapi_ticket", tokenPath + "/",
		"/v1/" + appID + "/jsapi_signature?url=https%3A%2F%2Fexample.com%2F", "/v1/" + appID + "/jsapi_signature/refresh",
		"/v1/wx%2F1/access_token", "/v1/%77x0123456789abcdef/access_token", "//v1/x/access_token", "/v1/../" + tokenPath,
		"http://127.0.0.1" + tokenPath, "*", "/", "/v1/" + appID + "/access_token%00", "/v1/" + appID + "/access_token;x", "/v1/" + appID + "/access_token#x",
	} {
		f.Add(path)
	}
	h := newTestSidecar(f, nil, appID)
	api := h.api(f, "")
	f.Fuzz(func(t *testing.T, path string) {
		head := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nX-Wxsidecar: 1\r\n\r\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
		if err != nil || strings.ContainsAny(path, " \r\n") {
			return // net/http refuses it, or it is more than a path
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		asked, _, _ := strings.Cut(path, "?")
		if w.Code == http.StatusOK {
			assert.Equal(t, tokenPath, asked)
		} else {
			assert.Contains(t, []int{400, 403, 404, 405}, w.Code) // 403: http://evil.com/v1/… has a Host of its own
			assert.NotEqual(t, tokenPath, asked)
			assert.NotContains(t, w.Body.String(), "canarytoken")
			assertRefusal(t, w)
		}
		assert.Empty(t, w.Header().Get("Location"))
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	})
}

func FuzzAPIBody(f *testing.F) {
	for _, body := range []string{
		`{"rejected":"x"}`, `{"rejected":""}`, `{"rejected":null}`, `{"rejected":1}`, `{}`, `[]`, `null`, ``, `{"rejected":"a b"}`,
		`{"rejected":"a\u0000b"}`, `{"rejected":"\ud800"}`, `{"Rejected":"x"}`, `{"rejected":"x"}{}`, `{"rejected":"x","rejected":"y"}`,
		"\xef\xbb\xbf{\"rejected\":\"x\"}", `{"rejected":"` + strings.Repeat("x", 2049) + `"}`, strings.Repeat("[", 9<<10),
	} {
		f.Add([]byte(body))
	}
	h := newTestSidecar(f, nil, appID)
	api := h.api(f, "")
	first := httptest.NewRequest(http.MethodGet, tokenPath, nil)
	first.Host = "localhost"
	first.Header.Set("X-Wxsidecar", "1")
	api.ServeHTTP(httptest.NewRecorder(), first) // it waits for the first token
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, refreshPath, bytes.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("X-Wxsidecar", "1")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		assert.Equal(t, 1, h.wechat.Issues(appID), "no body that was made up causes a renewal")
		if w.Code == http.StatusOK {
			var read map[string]any
			require.NoError(t, json.Unmarshal(body, &read))
			rejected, _ := read["rejected"].(string)
			assert.True(t, memcache.ValidCredential(rejected))
			return
		}
		assert.Contains(t, []int{400, 413}, w.Code)
		assert.Equal(t, len(body) > 8<<10, w.Code == 413)
		assert.NotContains(t, w.Body.String(), "canarytoken")
		assertRefusal(t, w)
	})
}

// assertRefusal asserts that an answer of our own is one as WeChat's are.
func assertRefusal(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var body struct {
		Code    int    `json:"errcode"`
		Message string `json:"errmsg"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	if body.Code != 40013 || w.Code != http.StatusNotFound { // WeChat's own, for an unknown AppID
		assert.Equal(t, w.Code, body.Code)
	}
	assert.NotEmpty(t, body.Message)
}
